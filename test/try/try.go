//go:build linux

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
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
)

// A trial is one run of this command.
type trial struct {
	options
	buildpack      string   // the root of the buildpack's checkout
	environ        []string // the user's environment
	dotenv         []string // what the app's .env sets
	stdout, stderr io.Writer
	terminal       bool            // whether stderr is one
	hurry          <-chan struct{} // closed when the user wants it to end at once
	bootTime       time.Duration   // after which a web process that does not listen is warned of
}

// run builds the app and runs it until ctx is done, the app has exited or its
// time is over. Its error is the line that says why this was no success.
func (t *trial) run(ctx context.Context) (err error) {
	defer func() {
		if t.page != nil {
			t.page.Close()
		}
		if err != nil && t.json {
			t.tell(event{Event: "result", Text: err.Error(), Reported: new(bool)})
		}
	}()
	var mu sync.Mutex
	t.stdout = lockedWriter{&mu, t.stdout}
	t.stderr = lockedWriter{&mu, t.stderr}
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
	b, goroot, err := t.prepare(ctx, tmp)
	if err != nil {
		return err
	}
	binaries, err := t.build(ctx, b, goroot, tmp)
	if err != nil {
		return err
	}
	list, extra, warnings, err := findProcesses(b.App, binaries)
	if err != nil {
		return err
	}
	for _, w := range warnings {
		t.warn("", "%s", w)
	}
	chosen, err := chooseProcesses(list, extra, t.process)
	if err != nil {
		return usageError{err}
	}
	if err := t.inspect(ctx, filepath.Join(b.App, "bin"), chosen); err != nil {
		return err
	}
	return t.watch(ctx, chosen, b.App)
}

// prepare copies the app and what it needs to tmp, and lays out a build of the
// copy. It returns the GOROOT to build with.
func (t *trial) prepare(ctx context.Context, tmp string) (b *herokugo.Build, goroot string, err error) {
	if t.app == "" {
		t.app = filepath.Join(t.buildpack, "test", "apps", "plain")
	}
	env, goroot, err := buildEnviron(ctx, t.environ, t.goCommand, t.buildpack)
	if err != nil {
		return nil, "", err
	}
	if t.goroot != "" {
		if goroot, err = filepath.Abs(t.goroot); err != nil {
			return nil, "", err
		}
		env = append(env, "GOTOOLCHAIN=local")
	}
	src, err := findSource(ctx, t.app, t.goCommand)
	if err != nil {
		return nil, "", err
	}
	if t.dotenv, err = readDotenv(filepath.Join(src.app, ".env")); err != nil {
		return nil, "", err
	}
	if len(t.dotenv) > 0 {
		t.say("the app has %s from its .env, as with heroku local", plural(len(t.dotenv), "variable"))
	}
	t.say("copying %s to %s", strings.Join(src.roots, ", "), tmp)
	skipped, err := herokugo.CopyTree(filepath.Join(tmp, "src"), src.base, src.roots...)
	if err != nil {
		return nil, "", fmt.Errorf("copying the app: %w", err)
	}
	for _, path := range skipped {
		t.say("not copied, since it cannot be read or is no file: %s", path)
	}
	rel, err := filepath.Rel(src.base, src.app)
	if err != nil {
		return nil, "", err
	}
	b = &herokugo.Build{
		App:     filepath.Join(tmp, "src", rel),
		Env:     filepath.Join(tmp, "env"),
		Environ: append(env, "TMPDIR="+filepath.Join(tmp, "tmp")),
	}
	if b.Cache, err = filepath.Abs(t.cache); err != nil {
		return nil, "", err
	}
	t.say("CACHE_DIR is %s, kept for the next run", b.Cache)
	// The build writes into these, and a link in the copy may lead out of it.
	for _, name := range []string{"bin", ".heroku", ".profile.d"} {
		if to, err := os.Readlink(filepath.Join(b.App, name)); err == nil && filepath.IsAbs(to) {
			return nil, "", fmt.Errorf("%s in the app is a link to %s, outside the app, which is not there on Heroku: make it a directory", name, to)
		}
	}
	for _, dir := range []string{b.Cache, b.Env, filepath.Join(tmp, "tmp")} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return nil, "", err
		}
	}
	for _, c := range t.config {
		name, value, _ := strings.Cut(c, "=")
		if err := os.WriteFile(filepath.Join(b.Env, name), []byte(value), 0o666); err != nil {
			return nil, "", err
		}
	}
	return b, goroot, nil
}

// buildLog returns where the log of the build goes, and what is to be called when
// it has ended.
func (t *trial) buildLog() (w io.Writer, end func()) {
	noColour, _ := lookup(t.environ, "NO_COLOR")
	p := &progress{w: t.stderr, terminal: t.terminal, colours: t.terminal && noColour == ""}
	lines := &lineWriter{each: p.line}
	return lockedWriter{&sync.Mutex{}, lines}, lines.flush
}

// build takes the app through the buildpack and heroku/go, and returns the names
// of the binaries.
func (t *trial) build(ctx context.Context, b *herokugo.Build, goroot, tmp string) ([]string, error) {
	var endLog func()
	b.Stdout, endLog = t.buildLog()
	b.Stderr = b.Stdout
	defer endLog()
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
		return nil, errors.New("the buildpack does not link the agent, so the app would not report; its output above says why")
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
		return errors.New("interrupted before the app was started")
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

// dynoEnviron returns the environment of a process of the app.
func (t *trial) dynoEnviron(name, app string, port int, url string) []string {
	path, _ := lookup(t.environ, "PATH")
	env := slices.Concat(t.environ, []string{fmt.Sprint("HMETRICS_INTERVAL=", t.interval)}, t.dotenv, t.config)
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

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
