package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A program is a process that does not outlive this one, and what it has printed.
type program struct {
	*exec.Cmd
	over chan struct{} // closed when it has ended

	mu   sync.Mutex
	log  bytes.Buffer
	more chan struct{} // closed when the log grows
}

// start starts a program, which ends with ctx, and waits until it prints the text up.
func start(ctx context.Context, up, dir string, env []string, argv ...string) (*program, error) {
	p := &program{Cmd: exec.CommandContext(ctx, argv[0], argv[1:]...), over: make(chan struct{}), more: make(chan struct{})}
	p.Dir, p.Env, p.Stdout, p.Stderr = dir, env, p, p
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.Wait()
		close(p.over)
	}()
	return p, p.until(ctx, up)
}

// Write takes what the process prints.
func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.more)
	p.more = make(chan struct{})
	return p.log.Write(b)
}

func (p *program) printed() (log string, more <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String(), p.more
}

// until waits until the process has printed a text.
func (p *program) until(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		log, more := p.printed()
		if strings.Contains(log, text) {
			return nil
		}
		select {
		case <-more:
			continue
		case <-p.over:
		case <-ctx.Done():
		}
		return fmt.Errorf("%s has not printed %q:\n%s", p.Path, text, log)
	}
}

// end sends the process a signal and waits for its end.
func (p *program) end(s syscall.Signal) {
	p.Process.Signal(s)
	<-p.over
}

// warnings returns the lines of the log that Prometheus, the Collector or the agent
// would print if something was not taken.
func (p *program) warnings() []string {
	log, _ := p.printed()
	return regexp.MustCompile("(?m)^.*(level=(WARN|ERROR)|\t(warn|error)\t|rejected).*$").FindAllString(log, -1)
}

// free returns an address that nobody listens on.
func free(host string) (string, error) {
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
