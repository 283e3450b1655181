//go:build linux

package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"
)

// running reports whether a process runs. One that has lost its parent may stay a
// zombie until init takes it.
func running(pid string) bool {
	b, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && !bytes.Contains(b, []byte(") Z "))
}

func TestDyno(t *testing.T) {
	hurry := make(chan struct{})
	close(hurry)
	const up = `sleep 1000 & echo $!; echo up; wait` // then it is stopped
	for name, tt := range map[string]struct {
		command string
		args    []string
		hurry   <-chan struct{}
		grace   time.Duration
		out     string // PID stands for that of a process which must be gone
		how     string
		killed  bool
	}{
		"ends well":      {command: `echo "$0 got $# arguments: $*"; echo "$DYNO" >&2; printf 'no newline'`, out: "web got 0 arguments: \nweb.1\nno newline\n", how: "exited with status 0 after "},
		"ends badly":     {command: "exit 3", how: "exited with status 3 after "},
		"kills itself":   {command: "kill -9 $$", how: `was killed by the signal "killed" after `},
		"gets arguments": {command: "A=b printf '<%s>\\n'", args: []string{"a b", "*", ""}, out: "<a b>\n<*>\n<>\n", how: "exited with status 0"},
		// What an app that ends by itself has left behind is killed.
		"leaves a child": {command: "sleep 1000 & echo $!; exit 0", grace: time.Second / 10, out: "PID\n", how: "exited with status 0"},
		// An app that heeds SIGTERM is given the time to end by itself.
		"stops": {command: `trap "echo bye; exit 7" TERM; ` + up, out: "PID\nup\nbye\n", how: "exited with status 7"},
		// One that does not is killed, with all that it has started.
		"does not stop":   {command: `trap "" TERM; ` + up, grace: time.Second / 10, out: "PID\nup\n", how: "was killed", killed: true},
		"user in a hurry": {command: `trap "" TERM; ` + up, hurry: hurry, out: "PID\nup\n", how: "was killed", killed: true},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			log := &output{steps: []step{{`up\n`, func([]string) { cancel() }}}}
			if tt.grace == 0 {
				tt.grace = time.Minute
			}
			s := &session{stderr: log, hurry: tt.hurry, grace: tt.grace}
			d := s.startDyno(ctx, process{name: "web", command: tt.command}, t.TempDir(), tt.args, append(os.Environ(), "DYNO=web.1"))
			<-d.done
			out := strings.ReplaceAll("\n"+log.String(), "\nweb.1 | ", "\n")[1:]
			if strings.HasPrefix(tt.out, "PID") {
				pid, rest, _ := strings.Cut(out, "\n")
				out = "PID\n" + rest
				for late := time.Now().Add(10 * time.Second); running(pid); {
					if time.Now().After(late) {
						t.Fatalf("process %s still runs", pid)
					}
				}
			}
			if out != tt.out {
				t.Errorf("the output is %q, want %q", log.String(), tt.out)
			}
			if !strings.HasPrefix(d.how(), tt.how) || d.killed != tt.killed {
				t.Errorf("it %s, killed: %t, want %s...", d.how(), d.killed, tt.how)
			}
		})
	}
}
