//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"syscall"
	"time"
	"unsafe"
)

// A progress passes the log of a build on, a line at a time. On a terminal the
// packages that go install -v names, which may be hundreds, share one line that is
// written over and over.
type progress struct {
	w                 io.Writer
	terminal, colours bool

	install bool // whether lines may be packages
	started time.Time
	n       int  // packages
	drawn   bool // whether there is such a line
}

const eraseLine = "\r\x1b[2K"

var (
	installLine = regexp.MustCompile(`^-----> Running: go install -v `)
	packageLine = regexp.MustCompile(`^       ([A-Za-z0-9._~/+-]+)$`)
	colour      = regexp.MustCompile(`\x1b\[[0-9;]*m`)
)

func (p *progress) line(line []byte) {
	if !p.colours {
		line = colour.ReplaceAll(line, nil)
	}
	if !p.terminal {
		fmt.Fprintf(p.w, "%s\n", line)
		return
	}
	if m := packageLine.FindSubmatch(line); m != nil && p.install {
		p.n++
		// A line that is too long for the terminal could not be written over.
		fmt.Fprintf(p.w, "%s%.78s", eraseLine, fmt.Sprintf("       package %d: %s", p.n, m[1]))
		p.drawn = true
		return
	}
	if p.drawn {
		io.WriteString(p.w, eraseLine)
		p.drawn = false
	}
	if bytes.HasPrefix(line, []byte("-----> ")) {
		if p.n > 0 {
			fmt.Fprintf(p.w, "       %s compiled in %s\n", plural(p.n, "package"), elapsed(time.Since(p.started)))
		}
		p.install, p.n, p.started = installLine.Match(line), 0, time.Now()
	}
	fmt.Fprintf(p.w, "%s\n", line)
}

// isTerminal says whether f is one that understands escape codes.
func isTerminal(f *os.File, environ []string) bool {
	term, _ := lookup(environ, "TERM")
	var t syscall.Termios
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), syscall.TCGETS, uintptr(unsafe.Pointer(&t)))
	return term != "" && term != "dumb" && errno == 0
}
