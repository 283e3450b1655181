package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/dsnet/try"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/proxy"
)

// A workspace is where apps are built.
//
//	TMP/buildpack      a copy, so that an edit meanwhile does not change what is measured
//	TMP/apps/NAME      the generated apps, both sides of a pair build in one place
//	TMP/bin/NAME/SIDE  what is built only to be looked at or run, with
//	CACHE/warm         its build cache
type workspace struct {
	checkout, buildpack, cache, tmp string

	lock    *os.File
	gocmd   string
	environ []string // of every build
}

// openWorkspace locks the directory cache for this process, since two at a time would
// measure each other, and copies the buildpack.
func openWorkspace(ctx context.Context, cache string) *workspace {
	environ, values := try.E2(machine.Environ(ctx))
	w := &workspace{
		cache: cache, lock: try.E1(machine.Lock(cache)), checkout: try.E1(machine.Checkout()),
		gocmd: filepath.Join(values[0], "bin", "go"),
		tmp:   try.E1(filepath.EvalSymlinks(try.E1(os.MkdirTemp("", "bench.")))),
	}
	w.buildpack = filepath.Join(w.tmp, "buildpack")
	try.E(machine.CopyBuildpack(w.buildpack, w.checkout))
	w.environ = append(environ, "HOME="+w.dir("home"), "TMPDIR="+w.dir("tmp"), "GOWORK=off", "GOTELEMETRY=off", "LC_ALL=C")
	return w
}

func (w *workspace) close() {
	herokugo.RemoveAll(w.tmp)
	w.lock.Close()
}

// dir makes a new empty directory, which the caller may remove.
func (w *workspace) dir(name string) string { return try.E1(os.MkdirTemp(w.tmp, name+".")) }

// took is what a process and those that it started took, in seconds. Where bytes are
// measured, wall is bytes.
type took struct{ wall, cpu float64 }

// run runs a program to its end and returns what it printed. What other processes have
// written is on the disk before.
func (w *workspace) run(ctx context.Context, dir string, env []string, args ...string) (string, took) {
	syscall.Sync()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, append(env[:len(env):len(env)], "PWD="+dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	start := time.Now()
	err := herokugo.RunGroup(ctx, cmd)
	wall := time.Since(start).Seconds()
	if err == nil && strings.Contains(stderr.String(), "hmetrics: the metrics agent is not linked") {
		err = errors.New("there is nothing to measure")
	}
	if err != nil {
		try.E(fmt.Errorf("%s: %w\n%s%s", strings.Join(cmd.Args, " "), err, &stdout, &stderr))
	}
	return strings.TrimSpace(stdout.String()), took{wall, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()}
}

// A builder builds the app in a directory in one way.
type builder struct {
	side, app, dir, gocache string
	env                     []string
	command                 []string
}

// newBuilder returns a builder with new caches in dir. A new CACHE_DIR has the injector
// built and the agent's modules fetched within the time of the first build.
func (w *workspace) newBuilder(ctx context.Context, side, app, dir string) *builder {
	dir = filepath.Join(dir, side)
	b := &builder{side: side, app: app, dir: dir, gocache: filepath.Join(dir, "gocache"), env: w.environ}
	b.command = []string{w.gocmd, "install", "-tags", "heroku", "./..."}
	switch side {
	case buildpack:
		w.deploy(ctx, b, "", "")
	case injectGo:
		b.command = append([]string{w.inject(ctx), "go"}, b.command[1:]...)
		b.env = append(b.env[:len(b.env):len(b.env)], "XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
	case orchestrion:
		b.command = append([]string{w.orchestrion(ctx), "go"}, b.command[1:]...)
	}
	return b
}

var versionLine = regexp.MustCompile(`(?m)^version = ".*"$`)

// deploy runs a copy of the buildpack, as a platform does, with HMETRICS_PACKAGES and of
// another version if that is given. The builder gets the environment that its file export
// leaves for the Go buildpack.
func (w *workspace) deploy(ctx context.Context, b *builder, packages, version string) {
	app, cache := w.dir("deployed"), filepath.Join(b.dir, "cache")
	var printed bytes.Buffer
	build := &herokugo.Build{App: app, Cache: cache, Env: filepath.Join(app, "env"), Environ: w.environ, Stdout: &printed, Stderr: &printed}
	try.E(os.MkdirAll(cache, 0o777))
	try.E(os.Mkdir(build.Env, 0o777))
	try.E(os.WriteFile(filepath.Join(build.Env, "HMETRICS_PACKAGES"), []byte(packages), 0o666))
	try.E(os.WriteFile(filepath.Join(app, "go.mod"), nil, 0o666))
	copied := filepath.Join(app, "buildpack")
	try.E(machine.CopyBuildpack(copied, w.buildpack))
	if file := filepath.Join(copied, "buildpack.toml"); version != "" {
		try.E(os.WriteFile(file, versionLine.ReplaceAll(try.E1(os.ReadFile(file)), []byte(`version = "`+version+`"`)), 0o666))
	}
	err := build.Run(ctx, copied)
	if _, ok := herokugo.Getenv(build.Environ, "HMETRICS_STAGE"); err != nil || !ok {
		try.E(fmt.Errorf("the buildpack has exported a stage: %t; its error: %v\n%s", ok, err, printed.String()))
	}
	b.env = build.Environ
}

// install builds all main packages as heroku/go does, with a prefix to the command.
func (w *workspace) install(ctx context.Context, b *builder, prefix ...string) took {
	env := append(b.env[:len(b.env):len(b.env)], "GOCACHE="+b.gocache, "GOBIN="+filepath.Join(b.dir, "bin"))
	_, t := w.run(ctx, b.app, env, slices.Concat(prefix, b.command)...)
	return t
}

// binary returns the first program of an app as a side of a row has it, built with the
// warm build cache.
func (w *workspace) binary(ctx context.Context, s shape, side string) string {
	if side != buildpack {
		s, side = s.with(side), plain
	}
	dir := filepath.Join(w.tmp, "bin", s.name)
	file := filepath.Join(dir, side, "bin", "app00")
	if _, err := os.Stat(file); err != nil {
		b := w.newBuilder(ctx, side, w.generate(ctx, s), dir)
		b.gocache = filepath.Join(w.cache, "warm")
		w.install(ctx, b)
	}
	return file
}

// inject installs command inject from a module of its own version, and returns it.
func (w *workspace) inject(ctx context.Context) string {
	try.E(proxy.Release(filepath.Join(w.tmp, "proxy"), w.buildpack, "v0.9.0"))
	env := append([]string{"GOBIN=" + w.tmp, "GOCACHE=" + filepath.Join(w.cache, "warm")}, w.environ...)
	env = append(env, "GOPROXY=file://"+filepath.Join(w.tmp, "proxy"), "GOSUMDB=off", "GOMODCACHE="+filepath.Join(w.tmp, "modules"))
	w.run(ctx, w.tmp, env, w.gocmd, "install", "github.com/hmetrics/heroku-buildpack-go-metrics/inject@latest")
	return filepath.Join(w.tmp, "inject")
}

// The peer that does the most similar thing.
const orchestrionModule = "github.com/DataDog/orchestrion@v1.15.0"

// orchestrion builds that program, which takes minutes the first time, and returns it.
func (w *workspace) orchestrion(ctx context.Context) string {
	env := append([]string{"GOBIN=" + w.tmp, "GOCACHE=" + filepath.Join(w.cache, "warm")}, w.environ...)
	w.run(ctx, w.tmp, env, w.gocmd, "install", orchestrionModule)
	return filepath.Join(w.tmp, "orchestrion")
}
