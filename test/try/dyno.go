//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A dyno is a running process of the app.
type dyno struct {
	process
	started time.Time
	pid     int
	done    chan struct{} // closed when it has ended, all of its process group with it
	ended   time.Time
	err     error  // how it ended
	output  []byte // the end of what it printed, to be read when it has ended
}

// startDyno starts p in dir in a process group of its own. Its output goes to
// log, a line at a time. It does not outlive this process.
func startDyno(p process, dir string, args, environ []string, log io.Writer) (*dyno, error) {
	// "$@" are the app's arguments; the shell goes away for a simple command.
	argv := append([]string{"-c", p.command + ` "$@"`, p.name}, args...)
	if len(args) == 0 {
		argv[1] = p.command
	}
	cmd := exec.Command("bash", argv...)
	cmd.Dir, cmd.Env = dir, environ
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = w, w

	d := &dyno{process: p, started: time.Now(), done: make(chan struct{})}
	up := make(chan error)
	go func() {
		// The kernel kills the child when the thread that started it ends.
		runtime.LockOSThread()
		err := cmd.Start()
		w.Close()
		up <- err
		if err != nil {
			r.Close()
			return
		}
		copied := make(chan struct{})
		go func() {
			defer close(copied)
			lines := &lineWriter{each: func(line []byte) { fmt.Fprintf(log, "%s.1 | %s\n", p.name, line) }}
			io.Copy(io.MultiWriter(lines, tail{&d.output}), r)
			lines.flush()
		}()
		d.err = cmd.Wait()
		d.ended = time.Now()
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		select {
		case <-copied:
		case <-time.After(time.Second): // somebody who left the group has the pipe
			r.Close()
			<-copied
		}
		r.Close()
		close(d.done)
	}()
	if err := <-up; err != nil {
		return nil, err
	}
	d.pid = cmd.Process.Pid
	return d, nil
}

// stop ends the dyno as the platform does: SIGTERM to all of its processes, and
// SIGKILL after the grace period, or as soon as hurry is closed. It reports whether
// that was needed.
func (d *dyno) stop(grace time.Duration, hurry <-chan struct{}) (killed bool) {
	if d.over() {
		return false
	}
	syscall.Kill(-d.pid, syscall.SIGTERM)
	select {
	case <-d.done:
		return false
	case <-time.After(grace):
	case <-hurry:
	}
	syscall.Kill(-d.pid, syscall.SIGKILL)
	<-d.done
	return true
}

// over reports whether the dyno has ended.
func (d *dyno) over() bool {
	select {
	case <-d.done:
		return true
	default:
		return false
	}
}

// listens reports whether a process of this machine listens on a TCP port.
func listens(port int) bool {
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, _ := os.ReadFile(file)
		for _, line := range strings.Split(string(b), "\n") {
			// NUMBER: ADDRESS:PORT REMOTE:PORT STATE ..., in hexadecimal; 0A is LISTEN
			if f := strings.Fields(line); len(f) > 3 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) && f[3] == "0A" {
				return true
			}
		}
	}
	return false
}

// how says how a dyno that is done ended.
func (d *dyno) how() string {
	var exit *exec.ExitError
	after := "after " + elapsed(d.ended.Sub(d.started))
	switch {
	case d.err == nil:
		return "exited with status 0 " + after
	case errors.As(d.err, &exit):
		if s, ok := exit.Sys().(syscall.WaitStatus); ok && s.Signaled() {
			return fmt.Sprintf("was killed by the signal %q %s", s.Signal(), after)
		}
		return fmt.Sprintf("exited with status %d %s", exit.ExitCode(), after)
	}
	return fmt.Sprintf("ended %s: %v", after, d.err)
}

// A lineWriter calls each with every line that is written, without its end.
type lineWriter struct {
	each func(line []byte)
	rest []byte
}

func (l *lineWriter) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
		if !ok {
			break
		}
		l.each(line)
		l.rest = rest
	}
	if len(l.rest) > 64<<10 {
		l.flush()
	}
	return len(p), nil
}

func (l *lineWriter) flush() {
	if len(l.rest) > 0 {
		l.each(l.rest)
		l.rest = nil
	}
}

// A lockedWriter lets several goroutines write.
type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// A tail keeps the last 8 KiB of what is written.
type tail struct{ b *[]byte }

func (t tail) Write(p []byte) (int, error) {
	*t.b = append(*t.b, p...)
	*t.b = (*t.b)[max(0, len(*t.b)-8<<10):]
	return len(p), nil
}
