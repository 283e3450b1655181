package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/page"
)

// grace is how long the app may take to stop.
const grace = 5 * time.Second

// A trial is one run of this command.
type trial struct {
	options
	buildpack      string   // the root of the buildpack's checkout
	environ        []string // the user's environment
	stdout, stderr io.Writer
	terminal       bool // whether stderr is one
}

// run builds the app and runs it until ctx is done, the app has exited or its
// time is over. Its error is the line that says why this was no success.
func (t *trial) run(ctx context.Context) (err error) {
	var mu sync.Mutex
	t.stdout = lockedWriter{&mu, t.stdout}
	t.stderr = lockedWriter{&mu, t.stderr}
	if t.app == "" {
		t.app = filepath.Join(t.buildpack, "test", "apps", "plain")
	}
	env, goroot, err := buildEnviron(ctx, t.environ, t.goCommand, t.buildpack)
	if err != nil {
		return err
	}
	if t.goroot != "" {
		if goroot, err = filepath.Abs(t.goroot); err != nil {
			return err
		}
		env = append(env, "GOTOOLCHAIN=local")
	}
	src, err := findSource(ctx, t.app, t.goCommand)
	if err != nil {
		return err
	}

	tmp, err := os.MkdirTemp("", "try_")
	if err != nil {
		return err
	}
	defer func() {
		if e := herokugo.RemoveAll(tmp); e != nil && err == nil {
			err = e
		}
	}()
	if tmp, err = filepath.EvalSymlinks(tmp); err != nil {
		return err
	}
	if strings.ContainsAny(tmp, " \t\n\"'") {
		return fmt.Errorf("the path of %s has a space or a quote, which the go command does not take in -toolexec: set TMPDIR to another directory", tmp)
	}
	t.say("copying %s to %s", strings.Join(src.roots, ", "), tmp)
	skipped, err := herokugo.CopyTree(filepath.Join(tmp, "src"), src.base, src.roots...)
	if err != nil {
		return fmt.Errorf("copying the app: %w", err)
	}
	for _, path := range skipped {
		t.say("not copied, since it cannot be read or is no file: %s", path)
	}
	rel, err := filepath.Rel(src.base, src.app)
	if err != nil {
		return err
	}
	b := &herokugo.Build{
		App:     filepath.Join(tmp, "src", rel),
		Env:     filepath.Join(tmp, "env"),
		Environ: append(env, "TMPDIR="+filepath.Join(tmp, "tmp")),
	}
	var endLog func()
	b.Stdout, endLog = t.buildLog()
	b.Stderr = b.Stdout
	defer endLog()
	if b.Cache, err = filepath.Abs(t.cache); err != nil {
		return err
	}
	t.say("CACHE_DIR is %s, kept for the next run", b.Cache)
	// The build writes into these, and a link in the copy may lead out of it.
	for _, name := range []string{"bin", ".heroku", ".profile.d"} {
		if to, err := os.Readlink(filepath.Join(b.App, name)); err == nil && filepath.IsAbs(to) {
			return fmt.Errorf("%s in the app is a link to %s, outside the app, which is not there on Heroku: make it a directory", name, to)
		}
	}
	for _, dir := range []string{b.Cache, b.Env, filepath.Join(tmp, "tmp")} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	for _, c := range t.config {
		name, value, _ := strings.Cut(c, "=")
		if err := os.WriteFile(filepath.Join(b.Env, name), []byte(value), 0o666); err != nil {
			return err
		}
	}
	binaries, err := t.build(ctx, b, goroot, tmp)
	endLog()
	if err != nil {
		return err
	}
	list, extra, err := findProcesses(b.App, binaries)
	if err != nil {
		return err
	}
	chosen, err := chooseProcesses(list, extra, t.process)
	if err != nil {
		return err
	}
	if err := inspectAll(filepath.Join(b.App, "bin"), chosen); err != nil {
		return err
	}
	return t.watch(ctx, chosen, b.App)
}

// buildLog returns where the log of the build goes, and what is to be called, once
// or more often, when it has ended.
func (t *trial) buildLog() (w io.Writer, end func()) {
	var mu sync.Mutex
	w, end = t.stderr, func() {}
	if t.terminal {
		p := newProgress(t.stderr, time.Now)
		var once sync.Once
		w, end = p, func() { once.Do(p.close) }
	}
	if value, _ := lookup(t.environ, "NO_COLOR"); value != "" || !t.terminal {
		w = lockedWriter{&mu, &plain{w: w}}
	}
	return w, end
}

// build takes the app through the buildpack and heroku/go, and returns the names
// of the binaries.
func (t *trial) build(ctx context.Context, b *herokugo.Build, goroot, tmp string) ([]string, error) {
	unlock, err := t.lock(ctx, b.Cache)
	if err != nil {
		return nil, err
	}
	defer unlock()
	ours := &herokugo.Dir{Path: t.buildpack, Tmp: tmp}
	if err := b.Run(ctx, ours); err != nil {
		return nil, stopped(ctx, fmt.Errorf("the buildpack failed, its output is above: %w", err))
	}
	if !ours.Exported {
		return nil, errors.New("the buildpack stepped aside, so the app would not report; its output above says why")
	}
	golang := &herokugo.Go{Root: goroot}
	if err := b.Run(ctx, golang); err != nil {
		return nil, stopped(ctx, fmt.Errorf("the app does not build, the output is above: %w", err))
	}
	return golang.Installed, nil
}

// stopped returns err, or what to say in its place if the user stopped the build.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted while building")
	}
	return err
}

// lock makes sure that no other run builds with the same CACHE_DIR until unlock
// is called.
func (t *trial) lock(ctx context.Context, dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == syscall.EWOULDBLOCK {
		t.say("waiting for another run that builds with %s", dir)
		locked := make(chan error, 1)
		go func() { locked <- syscall.Flock(int(f.Fd()), syscall.LOCK_EX) }()
		select {
		case err = <-locked:
		case <-ctx.Done():
			return nil, errors.New("interrupted while waiting for another run")
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	return func() { f.Close() }, nil
}

// watch runs the processes and shows their reports.
func (t *trial) watch(ctx context.Context, processes []process, app string) error {
	faults := &endpoint.Switch{}
	server, err := endpoint.Start(endpoint.Options{Fault: faults.Fault})
	if err != nil {
		return err
	}
	defer server.Close()
	known := newTotals(t.say)
	defer known.close()
	var names []string
	for _, p := range processes {
		names = append(names, p.name)
	}
	shown, err := page.Start(page.Options{Addr: t.page, Server: server, Switch: faults, Processes: names, Totals: known.of})
	if err != nil {
		return err
	}
	defer shown.Close()
	reports := make(chan endpoint.Report)
	over := make(chan struct{}) // closed when nobody receives reports any more
	server.OnReport(func(r endpoint.Report) {
		select {
		case reports <- r:
		case <-over:
		}
	})
	defer close(over)

	start := time.Now()
	seen := map[string]int{}
	tab := newTable(t.stdout, start, processes)
	show := func(r endpoint.Report) {
		tab.add(r)
		seen[r.Process]++
	}

	exits := make(chan *dyno)
	var dynos []*dyno
	for _, p := range processes {
		port, err := freePort()
		if err != nil {
			return err
		}
		args := make([]string, len(t.args))
		for i, arg := range t.args {
			args[i] = strings.NewReplacer("$PORT", fmt.Sprint(port), "${PORT}", fmt.Sprint(port)).Replace(arg)
		}
		d, err := startDyno(p, app, args, t.dynoEnviron(p.name, app, port, server.URL(p.name)), t.stderr)
		if err != nil {
			return fmt.Errorf("starting %s: %w", p.name, err)
		}
		defer d.stop(0)
		t.say("%s.1 is up: %s, PORT=%d, %s", p.name, strings.Join(append([]string{p.command}, args...), " "), port, t.expected(p))
		dynos = append(dynos, d)
		known.watch(p.name, d.pid, filepath.Join(app, "bin", p.binary))
		go func() {
			<-d.done
			select {
			case exits <- d:
			case <-over:
			}
		}()
	}
	t.say("look at %s", shown.URL())
	if t.open {
		if err := page.Open(shown.URL()); err != nil {
			t.say("%v", err)
		}
	}
	var timeUp <-chan time.Time
	if t.duration > 0 {
		timer := time.NewTimer(t.duration)
		defer timer.Stop()
		timeUp = timer.C
	}
	left := len(dynos)
	for left > 0 && ctx.Err() == nil {
		select {
		case r := <-reports:
			show(r)
			continue
		case d := <-exits:
			left--
			note := ""
			if seen[d.name] == 0 {
				note = ", before its first report"
			}
			t.say("%s.1 %s%s", d.name, d.how(), note)
			continue
		case <-timeUp:
		case <-ctx.Done():
		}
		break
	}
	ran := time.Since(start)

	// A report may come while the app stops.
	var stopping sync.WaitGroup
	for _, d := range dynos {
		d := d
		stopping.Add(1)
		go func() {
			defer stopping.Done()
			d.stop(grace)
		}()
	}
	quiet := make(chan struct{})
	go func() {
		stopping.Wait()
		server.Close() // returns when no report is on its way
		close(quiet)
	}()
	for {
		select {
		case r := <-reports:
			show(r)
			continue
		case <-quiet:
		}
		break
	}
	line, ok := summary(processes, seen, server.Rejected(), ran)
	if !ok {
		return errors.New(line)
	}
	fmt.Fprintln(t.stdout, "try:", line)
	return nil
}

// expected says what will come from a process.
func (t *trial) expected(p process) string {
	switch {
	case p.own != "":
		return "reporting by itself with " + p.own
	case p.agent:
		return fmt.Sprintf("reporting every %v", t.interval)
	}
	return "not reporting: the agent is not in bin/" + p.binary
}

// summary says in one line what was seen, and whether that is a success.
func summary(processes []process, seen map[string]int, rejected []endpoint.Rejection, ran time.Duration) (line string, ok bool) {
	total := 0
	var counts, names []string
	for _, p := range processes {
		total += seen[p.name]
		counts = append(counts, fmt.Sprintf("%s %d", p.name, seen[p.name]))
		name := p.name
		if p.own != "" {
			name += " (reporting by itself with " + p.own + ")"
		}
		names = append(names, name)
	}
	var b strings.Builder
	switch {
	case total == 0:
		fmt.Fprintf(&b, "no report arrived in %s from %s", elapsed(ran), strings.Join(names, ", "))
	case len(names) == 1:
		fmt.Fprintf(&b, "%s in %s from %s", plural(total, "report"), elapsed(ran), names[0])
	default:
		fmt.Fprintf(&b, "%s in %s: %s", plural(total, "report"), elapsed(ran), strings.Join(counts, ", "))
	}
	if n := len(rejected); n > 0 {
		last := rejected[n-1]
		fmt.Fprintf(&b, "; %s refused, the last one of %s: %s", plural(n, "request"), last.Process, last.Reason)
	}
	return b.String(), total > 0 && len(rejected) == 0
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// dynoEnviron returns the environment of a process of the app.
func (t *trial) dynoEnviron(name, app string, port int, url string) []string {
	path, _ := lookup(t.environ, "PATH")
	env := append(t.environ[:len(t.environ):len(t.environ)], fmt.Sprint("HMETRICS_INTERVAL=", t.interval))
	env = append(env, t.config...)
	return append(env,
		"HEROKU_METRICS_URL="+url,
		fmt.Sprint("PORT=", port),
		"DYNO="+name+".1",
		"PATH="+path+":"+filepath.Join(app, "bin"),
		"PWD="+app,
	)
}

// freePort returns a TCP port that nobody listens on.
func freePort() (int, error) {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// goCommand runs the user's go command, in the user's environment.
func (t *trial) goCommand(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stderr = dir, append(t.environ[:len(t.environ):len(t.environ)], "PWD="+dir), &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("running go %s: %w\n%s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

func (t *trial) say(format string, args ...interface{}) {
	fmt.Fprintf(t.stderr, "try: "+format+"\n", args...)
}
