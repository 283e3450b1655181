//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/page"
)

// A process is a process type of the app, and the dyno that runs it.
type process struct {
	name    string
	command string // for bash, in the app's directory
	binary  string // the app's program that it runs

	expect string // whether it reports, and with what
	noOTLP string // why the agent exports nothing; empty if it exports

	port    int
	environ []string
	ended   chan struct{} // closed when all of its process group has ended
	output  []byte        // the end of its output, to be read then

	// Guarded by session.mu.
	delivery page.Delivery
	outage   bool
	last     string // the document of the last request
}

var procfileLine = regexp.MustCompile(`^([A-Za-z0-9_-]+):\s*(.+)$`)

// findProcesses returns the process types in the app's Procfile that run one of the app's
// programs, or one for each program if there are none. The release phase is not a process
// type. findProcesses warns of lines that do not mean what the user probably meant.
func (s *session) findProcesses(binaries []string) ([]*process, error) {
	if len(binaries) == 0 {
		return nil, errors.New("the build installed no program: is there a main package in the app?")
	}
	procfile, err := os.ReadFile(filepath.Join(s.built, "Procfile"))
	if err != nil {
		return nil, fmt.Errorf("reading the Procfile: %w", err) // heroku/go makes one
	}
	var list []*process
	for i, line := range strings.Split(string(procfile), "\n") {
		line = strings.TrimSpace(line)
		m := procfileLine.FindStringSubmatch(line)
		switch {
		case line == "" || line[0] == '#':
			continue
		case m == nil:
			s.warn("", "Procfile: line %d is not NAME: COMMAND, so Heroku ignores it: %s", i+1, line)
			continue
		}
		program, binary := runs(m[2], binaries)
		switch {
		case binary == "":
			s.warn("", "Procfile: %s runs %s, which is none of the app's Go programs, bin/%s: it is not started here, and reports nothing",
				m[1], program, strings.Join(binaries, ", bin/"))
		case m[1] == "release":
			s.warn("", "Procfile: release is not run here; on Heroku it runs before each new release starts: %s", m[2])
		default:
			list = append(list, &process{name: m[1], command: m[2], binary: binary})
		}
	}
	if len(list) == 0 {
		for _, binary := range binaries {
			list = append(list, &process{name: binary, command: "bin/" + binary, binary: binary})
		}
	}
	return list, nil
}

// runs returns the word that a command begins with, and the first of the app's programs that
// it runs, if any.
func runs(command string, binaries []string) (program, binary string) {
	words := append(strings.Fields(strings.NewReplacer(`"`, "", "'", "", ";", " ").Replace(command)), "")
	for len(words) > 1 && (words[0] == "exec" || strings.Contains(words[0], "=")) {
		words = words[1:]
	}
	for i, word := range words {
		name := filepath.Base(word)
		// bin is in the PATH, so the program's name may be all there is.
		if slices.Contains(binaries, name) && (strings.HasSuffix(word, "bin/"+name) || i == 0 && name == word) {
			return words[0], name
		}
	}
	return words[0], ""
}

// place gives a process its port and environment.
func (s *session) place(p *process) error {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		return err
	}
	p.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	p.environ = slices.Clone(s.environ)
	set := func(name string, value any) { p.environ = append(p.environ, fmt.Sprint(name, "=", value)) }
	set("HMETRICS_INTERVAL", s.interval)
	const otlp = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
	url := s.server.OTLPURL(p.name)
	if p.noOTLP == "" {
		set(otlp, url)
		set("OTEL_METRIC_EXPORT_INTERVAL", s.interval.Milliseconds())
	}
	p.environ = slices.Concat(p.environ, s.dotenv, s.config)
	if at, _ := herokugo.Getenv(p.environ, otlp); p.noOTLP == "" && at != url {
		p.noOTLP = "the app has another " + otlp
	}
	path, _ := herokugo.Getenv(s.environ, "PATH")
	set("HEROKU_METRICS_URL", s.server.URL(p.name))
	set("PORT", p.port)
	set("DYNO", p.name+".1")
	set("PATH", path+":"+filepath.Join(s.built, "bin"))
	set("PWD", s.built)
	return nil
}

// grace is how long the app may take to stop; on Heroku it is 30 s.
const grace = 5 * time.Second

// launch starts p in a process group of its own, and prints when it ends. Its output goes to
// standard error, a line at a time. When ctx is done, launch stops it as the platform does:
// SIGTERM to all of its processes, and SIGKILL after the grace period. It does not outlive
// this process.
func (s *session) launch(ctx context.Context, p *process) {
	port := fmt.Sprint(p.port)
	words := []string{p.command}
	for _, arg := range s.args {
		words = append(words, strings.NewReplacer("$PORT", port, "${PORT}", port).Replace(arg))
	}
	text := fmt.Sprintf("%s.1 is up: %s, PORT=%s, %s", p.name, strings.Join(words, " "), port, p.expect)
	if p.noOTLP == "" {
		text += ", by OTLP too"
	}
	s.print(event{Event: "up", Process: p.name, Port: p.port, Text: text})

	// "$@" are the app's arguments. For a simple command, the shell replaces itself.
	script := p.command
	if len(s.args) > 0 {
		script += ` "$@"`
	}
	cmd := exec.CommandContext(ctx, "bash", slices.Concat([]string{"-c", script, p.name}, words[1:])...)
	lines := &lineWriter{each: func(line []byte) {
		fmt.Fprintf(s.stderr, "%s.1 | %s\n", p.name, line)
		p.output = append(append(p.output, line...), '\n')
		p.output = p.output[max(0, len(p.output)-8<<10):]
	}}
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = s.built, p.environ, lines, lines
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	kill := func(signal syscall.Signal) error { return syscall.Kill(-cmd.Process.Pid, signal) }
	cmd.WaitDelay = grace
	cmd.Cancel = func() error { return kill(syscall.SIGTERM) }
	p.ended = make(chan struct{})
	s.running.Go(func() {
		defer close(p.ended)
		// The kernel kills the child when the thread that started it ends.
		runtime.LockOSThread()
		start := time.Now()
		how := fmt.Sprint(cmd.Run())
		if cmd.Process != nil {
			kill(syscall.SIGKILL) // what it left behind
			how = cmd.ProcessState.String()
		}
		lines.flush()
		s.exit(ctx, p, how, time.Since(start))
	})
	if p.name == "web" {
		go s.boot(p)
	}
}

// boot warns of a web process that does not listen on its port.
func (s *session) boot(p *process) {
	const bootTime = 5 * time.Second
	for late := time.Now().Add(bootTime); time.Now().Before(late); {
		if c, err := net.Dial("tcp", fmt.Sprint("localhost:", p.port)); err == nil {
			c.Close()
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-p.ended:
			return
		}
	}
	s.warn(p.name, "%s.1 does not listen on PORT, %d, after %v; Heroku kills a web process that does not within 60 s", p.name, p.port, bootTime)
}

// variable matches what looks like the name of a config var.
var variable = regexp.MustCompile(`\b[A-Z][A-Z0-9]*(_[A-Z0-9]+)+\b`)

// exit prints how a process ended. If it failed and never reported, exit also names a config
// var that it may lack: the first one that its output mentions and that is not set.
func (s *session) exit(ctx context.Context, p *process, how string, ran time.Duration) {
	if ctx.Err() != nil {
		if how == "signal: killed" {
			s.print(event{Event: "stopping", Process: p.name, Text: p.name + ".1 was killed: it had not ended after SIGTERM; on Heroku it has 30 s"})
		}
		return
	}
	s.mu.Lock()
	reported := p.delivery.Accepted > 0
	s.mu.Unlock()
	text := fmt.Sprintf("%s.1 ended after %s: %s", p.name, elapsed(ran), how)
	if !reported {
		text += ", before its first report"
	}
	s.print(event{Event: "exit", Process: p.name, Text: text})
	if reported || how == "exit status 0" {
		return
	}
	lacks := "NAME"
	for _, name := range slices.Backward(variable.FindAllString(string(p.output), -1)) {
		if _, ok := herokugo.Getenv(p.environ, name); !ok {
			lacks = name
		}
	}
	s.warn(p.name, "%s.1 may lack a config var: set it with -config %s=VALUE, or in the app's .env", p.name, lacks)
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
