package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

// A lab is where things are measured.
//
//	TMP/buildpack   a copy, so that an edit meanwhile does not change what is measured
//	TMP/apps/NAME   the generated apps, both sides of a pair build in one place
//	TMP/home        HOME of all builds
//	CACHE/warm      the build cache of what is built only to be looked at or run
type lab struct {
	cache     string
	lock      *os.File
	tmp       string // removed in the end unless keep
	keep      bool
	buildpack string
	goroot    string
	release   string   // as in go1.26.8
	environ   []string // of every build
	say       func(format string, args ...interface{})
}

// openLab locks the directory cache for this process and copies the buildpack
// whose checkout is root, or the one around the working directory.
func openLab(ctx context.Context, cache, root string, say func(string, ...interface{})) (*lab, error) {
	l := &lab{cache: cache, say: say}
	var err error
	if l.lock, err = machine.Lock(cache); err != nil {
		return nil, fmt.Errorf("-cache: %w: two at a time would measure each other", err)
	}
	if l.tmp, err = os.MkdirTemp("", "bench."); err == nil {
		l.tmp, err = filepath.EvalSymlinks(l.tmp)
	}
	if err == nil {
		err = l.prepare(ctx, root)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *lab) close() {
	if l.tmp != "" && !l.keep {
		herokugo.RemoveAll(l.tmp)
	}
	l.lock.Close()
}

func (l *lab) prepare(ctx context.Context, root string) error {
	root, err := machine.Checkout(root)
	if err != nil {
		return err
	}
	l.buildpack = filepath.Join(l.tmp, "buildpack")
	if err := machine.CopyBuildpack(l.buildpack, root); err != nil {
		return err
	}
	for _, dir := range []string{"home", "tmp"} {
		if err := os.Mkdir(filepath.Join(l.tmp, dir), 0o777); err != nil {
			return err
		}
	}

	environ, values, err := machine.Environ(ctx, "GOVERSION")
	if err != nil {
		return err
	}
	l.goroot, l.release = values[0], values[1]
	l.environ = append(environ,
		"HOME="+filepath.Join(l.tmp, "home"),
		"TMPDIR="+filepath.Join(l.tmp, "tmp"),
		"GOWORK=off", // the checkout's does not list the module that pins Orchestrion
		"GOTELEMETRY=off",
		"LC_ALL=C",
	)
	return nil
}

// dir makes a new empty directory. The caller may remove it.
func (l *lab) dir(name string) (string, error) {
	return os.MkdirTemp(l.tmp, name+".")
}

// deploy runs bin/compile with a CACHE_DIR, as a platform does, and returns the
// environment that its file export leaves for the Go buildpack.
func (l *lab) deploy(ctx context.Context, cache string) ([]string, error) {
	return l.deployWith(ctx, l.buildpack, cache, "")
}

// deployWith does the same with a copy of the buildpack and HMETRICS_PACKAGES.
func (l *lab) deployWith(ctx context.Context, buildpack, cache, packages string) ([]string, error) {
	app, err := l.dir("deployed")
	if err != nil {
		return nil, err
	}
	var log bytes.Buffer
	b := &herokugo.Build{
		App: app, Cache: cache, Env: filepath.Join(app, "env"),
		Environ: l.environ, Stdout: &log, Stderr: &log,
	}
	if err := os.MkdirAll(b.Env, 0o777); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(b.Env, "HMETRICS_PACKAGES"), []byte(packages), 0o666); err != nil {
		return nil, err
	}
	d := &herokugo.Dir{Path: buildpack, Tmp: app}
	if err := d.Compile(ctx, b); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, log.String())
	}
	if !d.Exported {
		return nil, fmt.Errorf("bin/compile left no file export:\n%s", log.String())
	}
	return b.Environ, nil
}

// took is what a process and those that it started took.
type took struct{ wall, cpu float64 }

// run runs a program to its end. What other processes have written is on the
// disk before.
func (l *lab) run(ctx context.Context, dir string, env []string, name string, args ...string) (took, error) {
	syscall.Sync()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(append([]string{}, env...), "PWD="+dir)
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	start := time.Now()
	err := herokugo.RunGroup(ctx, cmd)
	t := took{wall: time.Since(start).Seconds()}
	if err != nil {
		if ctx.Err() != nil {
			return t, ctx.Err()
		}
		return t, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, tail(log.String()))
	}
	if strings.Contains(log.String(), "hmetrics: the metrics agent is not linked") {
		return t, fmt.Errorf("%s: the buildpack stepped aside, so there is nothing to measure:\n%s", strings.Join(cmd.Args, " "), tail(log.String()))
	}
	t.cpu = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
	return t, nil
}

// output runs a program and returns what it prints.
func (l *lab) output(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(append([]string{}, env...), "PWD="+dir)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := herokugo.RunGroup(ctx, cmd); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, tail(log.String()))
	}
	return out.String(), nil
}

// tail returns the last lines of a log.
func tail(log string) string {
	lines := strings.Split(strings.TrimSpace(log), "\n")
	if len(lines) > 15 {
		lines = lines[len(lines)-15:]
	}
	return strings.Join(lines, "\n")
}

func (l *lab) gocmd() string { return filepath.Join(l.goroot, "bin", "go") }

// install runs go install on all main packages of an app as heroku/go does.
// Binaries end up in the directory bin.
func (l *lab) install(ctx context.Context, a app, env []string, gocache, bin string) (took, error) {
	env = append(append([]string{}, env...), "GOCACHE="+gocache, "GOBIN="+bin)
	return l.run(ctx, a.dir, env, l.gocmd(), "install", "-tags", "heroku", "./...")
}

// binaries builds an app with the warm build cache, with or without the
// buildpack, and returns the directory of its binaries.
func (l *lab) binaries(ctx context.Context, a app, side string) (string, error) {
	bin := filepath.Join(l.tmp, "bin", a.name, side)
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	env := l.environ
	if side == buildpack {
		cache := filepath.Join(l.tmp, "warmstage")
		if err := os.MkdirAll(cache, 0o777); err != nil {
			return "", err
		}
		var err error
		if env, err = l.deploy(ctx, cache); err != nil {
			return "", err
		}
	}
	l.say("building %s, %s, not timed", a.name, side)
	if _, err := l.install(ctx, a, env, filepath.Join(l.cache, "warm"), bin); err != nil {
		return "", err
	}
	return bin, nil
}

// discard removes a directory that may be big.
func discard(dir string) { herokugo.RemoveAll(dir) }
