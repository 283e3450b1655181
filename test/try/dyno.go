//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// A dyno is a running process of the app.
type dyno struct {
	process
	started, ended time.Time
	done           chan struct{} // closed when it has ended, all of its process group with it
	err            error         // how it ended
	killed         bool          // since it had not ended in time after ctx was done
	output         []byte        // the end of what it printed, to be read when it has ended
}

// startDyno starts p in dir in a process group of its own. Its output goes to
// the session's standard error, a line at a time. When ctx is done it is stopped as
// the platform does: SIGTERM to all of its processes, and SIGKILL after the grace
// period, or as soon as the user is in a hurry. It does not outlive this process.
func (s *session) startDyno(ctx context.Context, p process, dir string, args, environ []string) *dyno {
	// "$@" are the app's arguments; the shell goes away for a simple command.
	argv := append([]string{"-c", p.command + ` "$@"`, p.name}, args...)
	if len(args) == 0 {
		argv[1] = p.command
	}
	d := &dyno{process: p, started: time.Now(), done: make(chan struct{})}
	lines := &lineWriter{each: func(line []byte) {
		fmt.Fprintf(s.stderr, "%s.1 | %s\n", p.name, line)
		d.output = append(append(d.output, line...), '\n')
		d.output = d.output[max(0, len(d.output)-8<<10):]
	}}
	cmd := exec.CommandContext(ctx, "bash", argv...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, environ, lines, lines
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	kill := func(signal syscall.Signal) error { return syscall.Kill(-cmd.Process.Pid, signal) }
	cmd.WaitDelay = s.grace
	cmd.Cancel = func() error {
		go func() {
			select {
			case <-s.hurry:
				kill(syscall.SIGKILL)
			case <-d.done:
			}
		}()
		return kill(syscall.SIGTERM)
	}
	go func() {
		defer close(d.done)
		// The kernel kills the child when the thread that started it ends.
		runtime.LockOSThread()
		d.err = cmd.Run()
		d.ended = time.Now()
		lines.flush()
		if cmd.Process != nil {
			kill(syscall.SIGKILL) // what it has left behind
			d.killed = ctx.Err() != nil && signalOf(cmd.ProcessState) == syscall.SIGKILL
		}
	}()
	return d
}

// signalOf returns the signal that ended a process, or -1.
func signalOf(state *os.ProcessState) syscall.Signal {
	if s, ok := state.Sys().(syscall.WaitStatus); ok && s.Signaled() {
		return s.Signal()
	}
	return -1
}

// how says how a dyno that is done ended.
func (d *dyno) how() string {
	var exit *exec.ExitError
	after := "after " + elapsed(d.ended.Sub(d.started))
	switch {
	case d.err == nil || errors.Is(d.err, exec.ErrWaitDelay):
		return "exited with status 0 " + after
	case !errors.As(d.err, &exit):
		return fmt.Sprintf("ended %s: %v", after, d.err)
	case signalOf(exit.ProcessState) >= 0:
		return fmt.Sprintf("was killed by the signal %q %s", signalOf(exit.ProcessState), after)
	}
	return fmt.Sprintf("exited with status %d %s", exit.ExitCode(), after)
}

// A lineWriter calls each with every line that is written, without its end.
type lineWriter struct {
	each func(line []byte)
	mu   sync.Mutex
	rest []byte
}

func (l *lineWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
		if !ok && len(line) < 64<<10 {
			return len(p), nil
		}
		l.each(line)
		l.rest = rest
	}
}

func (l *lineWriter) flush() {
	if len(l.rest) > 0 {
		l.each(l.rest)
		l.rest = nil
	}
}
