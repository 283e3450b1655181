//go:build linux

package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
)

// screen returns what a terminal shows after it was sent s.
func screen(s string) string {
	var lines []string
	for _, line := range strings.Split(s, "\n") {
		if i := strings.LastIndex(line, eraseLine); i >= 0 {
			line = line[i+len(eraseLine):]
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p := &progress{w: &out, terminal: true, colours: true}
	lines := &lineWriter{each: p.line}
	for _, step := range []struct{ write, want string }{
		{"-----> Determining packages to install\n       example.com/two/cmd/web\n", "-----> Determining packages to install\n       example.com/two/cmd/web\n"},
		{"-----> Running: go install -v -tags heroku example.com/two/cmd/web\n       internal/gos", "-----> Running: go install -v -tags heroku example.com/two/cmd/web\n"},
		{"sa\n       net/http\n", "       package 2: net/http"},
		{"       example.com/" + strings.Repeat("long/", 20) + "path\n", "/long/long/long/lon"},
		{"       # example.com/two/cmd/web\n       ./main.go:3:15: undefined: missing\n", "       ./main.go:3:15: undefined: missing\n"},
		{"       example.com/two/cmd/web\n", "       package 4: example.com/two/cmd/web"},
		{"-----> Done\n", "       ./main.go:3:15: undefined: missing\n       4 packages compiled in 0.0s\n-----> Done\n"},
		{"       net/http\nno newline", "       net/http\n"},
	} {
		if _, err := io.WriteString(lines, step.write); err != nil {
			t.Fatal(err)
		}
		if got := screen(out.String()); !strings.HasSuffix(got, step.want) {
			t.Errorf("after %q the terminal shows\n%s\nwant at its end\n%s", step.write, got, step.want)
		}
		for _, line := range strings.Split(screen(out.String()), "\n") {
			if len(line) > 80 {
				t.Errorf("the line %q cannot be written over", line)
			}
		}
	}
	lines.flush()
	if got := screen(out.String()); !strings.HasSuffix(got, "       net/http\nno newline\n") {
		t.Errorf("at the end the terminal shows\n%s", got)
	}
}

// The log of a build has escape codes on a terminal only, and colours only if they
// are wanted.
func TestBuildLog(t *testing.T) {
	const log = "\x1b[1;33m !     Careful\x1b[0m\n-----> Running: go install -v x\n       net/http\n"
	for name, tt := range map[string]struct {
		terminal          bool
		environ           []string
		colours, progress bool
	}{
		"file":                  {false, nil, false, false},
		"terminal":              {true, nil, true, true},
		"terminal, NO_COLOR":    {true, []string{"NO_COLOR=1"}, false, true},
		"terminal, no NO_COLOR": {true, []string{"NO_COLOR="}, true, true},
	} {
		var out bytes.Buffer
		tr := &trial{stderr: &out, terminal: tt.terminal, environ: tt.environ}
		w, end := tr.buildLog()
		io.WriteString(w, log)
		end()
		if got := strings.Contains(out.String(), "\x1b[1;33m"); got != tt.colours {
			t.Errorf("%s: colours are %t: %q", name, got, out.String())
		}
		if got := strings.Contains(out.String(), eraseLine); got != tt.progress {
			t.Errorf("%s: progress is %t: %q", name, got, out.String())
		}
		if !tt.progress && !strings.HasSuffix(out.String(), "\n       net/http\n") {
			t.Errorf("%s: the packages are not there: %q", name, out.String())
		}
	}
}

func TestIsTerminal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if isTerminal(w, []string{"TERM=xterm"}) {
		t.Error("a pipe is taken for a terminal")
	}
	pty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("there is no terminal to open: ", err)
	}
	defer pty.Close()
	for environ, want := range map[string]bool{"TERM=xterm": true, "TERM=dumb": false, "TERM=": false, "": false} {
		if got := isTerminal(pty, []string{environ}); got != want {
			t.Errorf("with %q a terminal is one: %t", environ, got)
		}
	}
}
