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

// A workspace is where apps are built.
//
//	TMP/buildpack   a copy, so that an edit meanwhile does not change what is measured
//	TMP/apps/NAME   the generated apps, both sides of a pair build in one place
//	TMP/bin/NAME    what is built only to be looked at or run, with
//	CACHE/warm      its build cache
type workspace struct {
	checkout  string
	cache     string
	lock      *os.File
	tmp       string
	buildpack string
	gocmd     string
	release   string   // as in go1.26.8
	environ   []string // of every build
	say       func(format string, args ...any)

	apps     map[string]app    // by name
	binaries map[string]string // by app and side
}

// openWorkspace locks the directory cache for this process, since two at a time would
// measure each other, and copies the buildpack whose checkout is root, or the one around
// the working directory.
func openWorkspace(ctx context.Context, cache, root string, say func(string, ...any)) *workspace {
	environ, values, err := machine.Environ(ctx, "GOVERSION")
	check(err)
	w := &workspace{
		cache: cache, lock: must(machine.Lock(cache)), checkout: must(machine.Checkout("")), say: say,
		gocmd: filepath.Join(values[0], "bin", "go"), release: values[1],
		tmp: must(filepath.EvalSymlinks(must(os.MkdirTemp("", "bench.")))), apps: map[string]app{}, binaries: map[string]string{},
	}
	w.buildpack = filepath.Join(w.tmp, "buildpack")
	check(machine.CopyBuildpack(w.buildpack, must(machine.Checkout(root))))
	w.environ = append(environ, "HOME="+w.dir("home"), "TMPDIR="+w.dir("tmp"), "GOWORK=off", "GOTELEMETRY=off", "LC_ALL=C")
	return w
}

func (w *workspace) close() {
	herokugo.RemoveAll(w.tmp)
	w.lock.Close()
}

// dir makes a new empty directory, which the caller may remove.
func (w *workspace) dir(name string) string { return must(os.MkdirTemp(w.tmp, name+".")) }

// run runs a program to its end and returns what it printed. What other processes have
// written is on the disk before.
func (w *workspace) run(ctx context.Context, dir string, env []string, name string, args ...string) (string, took) {
	syscall.Sync()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(env[:len(env):len(env)], "PWD="+dir)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	start := time.Now()
	err := herokugo.RunGroup(ctx, cmd)
	wall := time.Since(start).Seconds()
	if err == nil && strings.Contains(log.String(), "hmetrics: the metrics agent is not linked") {
		err = fmt.Errorf("there is nothing to measure")
	}
	if err != nil {
		check(fmt.Errorf("%s: %w\n%s%s", strings.Join(cmd.Args, " "), err, &out, &log))
	}
	return strings.TrimSpace(out.String()), took{wall, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()}
}

// A builder builds an app in one way.
type builder struct {
	side    string
	app     app
	gocache string
	bin     string
	cache   string // CACHE_DIR of the buildpack
	env     []string
	command []string
}

// newBuilder returns a builder with new caches in dir. A new CACHE_DIR has the injector
// built and the agent's modules fetched within the time of the first build.
func (w *workspace) newBuilder(ctx context.Context, side string, a app, dir string) *builder {
	dir = filepath.Join(dir, side)
	b := &builder{
		side: side, app: a, env: w.environ, gocache: filepath.Join(dir, "gocache"), bin: filepath.Join(dir, "bin"), cache: filepath.Join(dir, "cache"),
		command: []string{w.gocmd, "install", "-tags", "heroku", "./..."},
	}
	check(os.MkdirAll(b.cache, 0o777))
	switch side {
	case buildpack:
		w.deploy(ctx, b, w.buildpack, "")
	case orchestrion:
		b.command = append([]string{w.orchestrion(ctx, a), "go"}, b.command[1:]...)
	}
	return b
}

// deploy runs a copy of the buildpack, as a platform does. The builder gets the
// environment that its file export leaves for the Go buildpack.
func (w *workspace) deploy(ctx context.Context, b *builder, buildpack, packages string) {
	app := w.dir("deployed")
	var log bytes.Buffer
	build := &herokugo.Build{App: app, Cache: b.cache, Env: filepath.Join(app, "env"), Environ: w.environ, Stdout: &log, Stderr: &log}
	check(os.Mkdir(build.Env, 0o777))
	check(os.WriteFile(filepath.Join(build.Env, "HMETRICS_PACKAGES"), []byte(packages), 0o666))
	check(os.WriteFile(filepath.Join(app, "go.mod"), nil, 0o666))
	copied := filepath.Join(app, "buildpack")
	check(machine.CopyBuildpack(copied, buildpack))
	err := build.Run(ctx, copied)
	if _, ok := herokugo.Getenv(build.Environ, "HMETRICS_STAGE"); err != nil || !ok {
		check(fmt.Errorf("the buildpack has exported a stage: %t; its error: %v\n%s", ok, err, log.String()))
	}
	b.env = build.Environ
}

// install builds all main packages as heroku/go does.
func (w *workspace) install(ctx context.Context, b *builder) took {
	_, t := w.run(ctx, b.app.dir, append(b.env[:len(b.env):len(b.env)], "GOCACHE="+b.gocache, "GOBIN="+b.bin), b.command[0], b.command[1:]...)
	return t
}

// binary returns the first program of an app as a side of a row has it, built with the
// warm build cache.
func (w *workspace) binary(ctx context.Context, s shape, side string) string {
	if side != buildpack {
		s, side = s.with(side), plain
	}
	key := s.name + " " + side
	if w.binaries[key] == "" {
		a := w.generate(ctx, s)
		b := w.newBuilder(ctx, side, a, filepath.Join(w.tmp, "bin", a.name))
		w.say("building %s, %s, not timed", a.name, side)
		b.gocache = filepath.Join(w.cache, "warm")
		w.install(ctx, b)
		w.binaries[key] = filepath.Join(b.bin, a.main)
	}
	return w.binaries[key]
}

// The peer that does the most similar thing.
const orchestrionModule = "github.com/DataDog/orchestrion@v1.15.0"

// orchestrion returns the program of an app that depends on it. It is built once.
func (w *workspace) orchestrion(ctx context.Context, a app) string {
	program := filepath.Join(w.tmp, "orchestrion")
	if _, err := os.Stat(program); err != nil {
		w.say("building %s, not timed; the first time takes minutes", orchestrionModule)
		module, _, _ := strings.Cut(orchestrionModule, "@")
		w.run(ctx, a.dir, append(w.environ[:len(w.environ):len(w.environ)], "GOCACHE="+filepath.Join(w.cache, "warm")), w.gocmd, "build", "-mod=mod", "-o", program, module)
	}
	return program
}
