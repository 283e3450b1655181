package fleet

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/dsnet/try"
)

// A process does not outlive this one.
type process struct {
	*exec.Cmd
	lines chan string // that it has printed; closed at its end
	log   string      // what was taken from lines
}

// start starts a process, which ends with ctx, and waits until it prints the text up.
func start(ctx context.Context, up string, env []string, argv ...string) *process {
	p := &process{Cmd: exec.CommandContext(ctx, argv[0], argv[1:]...), lines: make(chan string, 10000)}
	printed := try.E1(p.StdoutPipe())
	p.Env, p.Stderr = env, p.Stdout
	p.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	try.E(p.Start())
	go func() {
		for s := bufio.NewScanner(printed); s.Scan(); {
			p.lines <- s.Text()
		}
		p.Wait()
		close(p.lines)
	}()
	p.until(ctx, up)
	return p
}

// until waits until the process has printed a text.
func (p *process) until(ctx context.Context, text string) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for !strings.Contains(p.log, text) {
		select {
		case line, more := <-p.lines:
			p.log += line + "\n"
			if more {
				continue
			}
		case <-ctx.Done():
		}
		try.E(fmt.Errorf("%s did not print %q:\n%s", p.Path, text, p.log))
	}
}

// end sends the process a signal and returns what it has printed when it has ended.
func (p *process) end(s syscall.Signal) string {
	p.Process.Signal(s)
	for line := range p.lines {
		p.log += line + "\n"
	}
	return p.log
}

// get makes a request over a connection of its own, and closes it.
func get(url string) []byte {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	r := try.E1(client.Get(url))
	defer r.Body.Close()
	return try.E1(io.ReadAll(r.Body))
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
		try.E(ctx.Err())
	case <-time.After(d):
	}
}
