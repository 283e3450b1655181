//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// A progress passes the log of a build on to a terminal. The packages that go
// install -v names, which may be hundreds, share one line that is written over and
// over.
type progress struct {
	w   io.Writer
	now func() time.Time

	mu      sync.Mutex
	rest    []byte // of a line that is not complete
	install bool   // whether lines may be packages
	n       int    // packages
	current string
	started time.Time
	drawn   bool
	over    chan struct{}
}

const eraseLine = "\r\x1b[2K"

// newProgress returns a progress that also counts the seconds, until it is closed.
func newProgress(w io.Writer, now func() time.Time) *progress {
	p := &progress{w: w, now: now, over: make(chan struct{})}
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				p.mu.Lock()
				if p.install {
					p.draw()
				}
				p.mu.Unlock()
			case <-p.over:
				return
			}
		}
	}()
	return p
}

var (
	installLine = regexp.MustCompile(`^-----> Running: go install -v `)
	packageLine = regexp.MustCompile(`^       ([A-Za-z0-9._~/+-]+)$`)
)

func (p *progress) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest = append(p.rest, b...)
	for {
		i := bytes.IndexByte(p.rest, '\n')
		if i < 0 {
			return len(b), nil
		}
		p.line(p.rest[:i+1])
		p.rest = p.rest[i+1:]
	}
}

func (p *progress) line(line []byte) {
	text := bytes.TrimSuffix(line, []byte("\n"))
	if m := packageLine.FindSubmatch(text); m != nil && p.install {
		p.n++
		p.current = string(m[1])
		p.draw()
		return
	}
	p.erase()
	if bytes.HasPrefix(text, []byte("-----> ")) {
		p.end()
	}
	p.w.Write(line)
	if installLine.Match(text) {
		p.install, p.started = true, p.now()
		p.draw()
	}
}

// draw writes the line anew. A line that is too long for the terminal could not be
// written over.
func (p *progress) draw() {
	text := fmt.Sprintf("       %v  preparing", p.now().Sub(p.started).Round(time.Second))
	if p.n > 0 {
		text = fmt.Sprintf("       %v  package %d: %s", p.now().Sub(p.started).Round(time.Second), p.n, p.current)
	}
	if len(text) > 78 {
		text = text[:77] + "…"
	}
	io.WriteString(p.w, eraseLine+text)
	p.drawn = true
}

func (p *progress) erase() {
	if p.drawn {
		io.WriteString(p.w, eraseLine)
		p.drawn = false
	}
}

// end leaves one line about all packages.
func (p *progress) end() {
	p.erase()
	if p.install && p.n > 0 {
		fmt.Fprintf(p.w, "       %s compiled in %s\n", plural(p.n, "package"), elapsed(p.now().Sub(p.started)))
	}
	p.install, p.n = false, 0
}

func (p *progress) close() {
	close(p.over)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
	p.w.Write(p.rest)
	p.rest = nil
}

// plain drops colours from the log of a build.
type plain struct {
	w    io.Writer
	rest []byte // the beginning of what may be a colour
}

var (
	colour      = regexp.MustCompile(`\x1b\[[0-9;]*m`)
	colourBegun = regexp.MustCompile(`\x1b(\[[0-9;]*)?$`)
)

func (p *plain) Write(b []byte) (int, error) {
	p.rest = colour.ReplaceAll(append(p.rest, b...), nil)
	out := p.rest
	if at := colourBegun.FindIndex(p.rest); at != nil && len(p.rest)-at[0] < 32 {
		out = p.rest[:at[0]]
	}
	_, err := p.w.Write(out)
	p.rest = append([]byte(nil), p.rest[len(out):]...)
	return len(b), err
}

// isTerminal says whether f is one that understands escape codes.
func isTerminal(f *os.File, environ []string) bool {
	term, _ := lookup(environ, "TERM")
	var t syscall.Termios
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), syscall.TCGETS, uintptr(unsafe.Pointer(&t)))
	return term != "" && term != "dumb" && errno == 0
}
