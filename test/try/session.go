//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

// A session is one run of this command: the build of an app, and its processes.
type session struct {
	options
	buildpack      string          // the root of the buildpack's checkout
	environ        []string        // the user's environment
	dotenv         []string        // what the app's .env sets
	stdout, stderr io.Writer       // for several goroutines, as a file is
	terminal       bool            // whether stderr is one
	hurry          <-chan struct{} // closed when the user wants it to end at once
	bootTime       time.Duration   // after which a web process that does not listen is warned of
	grace          time.Duration   // that the app may take to stop
}

// run builds the app and runs it until ctx is done, the app has exited or its
// time is over. Its error is the line that says why this was no success.
func (s *session) run(ctx context.Context) (err error) {
	defer s.page.Close()
	defer func() {
		if err != nil && s.json {
			s.tell(event{Event: "result", Text: err.Error(), Reported: new(bool)})
		}
	}()
	tmp, err := os.MkdirTemp("", "try_")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, herokugo.RemoveAll(tmp)) }()
	if tmp, err = filepath.EvalSymlinks(tmp); err != nil {
		return err
	}
	if strings.ContainsAny(tmp, " \t\n\"'") {
		return fmt.Errorf("the path of %s has a space or a quote, which the go command does not take in -toolexec: set TMPDIR to another directory", tmp)
	}
	b, goroot, err := s.prepare(ctx, tmp)
	if err != nil {
		return err
	}
	binaries, err := s.build(ctx, b, goroot, tmp)
	if err != nil {
		return err
	}
	processes, warnings, err := findProcesses(b.App, binaries, s.process)
	for _, w := range warnings {
		s.warn("", "%s", w)
	}
	if err == nil {
		err = s.inspect(ctx, filepath.Join(b.App, "bin"), processes)
	}
	if err != nil {
		return err
	}
	return s.watch(ctx, processes, b.App)
}

// prepare copies the app and what it needs to tmp, and lays out a build of the
// copy. It returns the GOROOT to build with.
func (s *session) prepare(ctx context.Context, tmp string) (b *herokugo.Build, goroot string, err error) {
	if s.app == "" {
		s.app = filepath.Join(s.buildpack, "test", "apps", "plain")
	}
	env, goroot, err := s.buildEnviron(ctx)
	if err != nil {
		return nil, "", err
	}
	if s.goroot != "" {
		if goroot, err = filepath.Abs(s.goroot); err != nil {
			return nil, "", err
		}
		env = append(env, "GOTOOLCHAIN=local")
	}
	src, err := s.findSource(ctx, s.app)
	if err != nil {
		return nil, "", err
	}
	if s.dotenv, err = readDotenv(filepath.Join(src.app, ".env")); err != nil {
		return nil, "", err
	}
	if len(s.dotenv) > 0 {
		s.say("the app has %s from its .env, as with heroku local", plural(len(s.dotenv), "variable"))
	}
	s.say("copying %s to %s", strings.Join(src.roots, ", "), tmp)
	skipped, err := src.copy(filepath.Join(tmp, "src"))
	if err != nil {
		return nil, "", fmt.Errorf("copying the app: %w", err)
	}
	for _, path := range skipped {
		s.say("not copied, since it cannot be read or is no file: %s", path)
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
	if b.Cache, err = filepath.Abs(s.cache); err != nil {
		return nil, "", err
	}
	s.say("CACHE_DIR is %s, kept for the next run", b.Cache)
	return b, goroot, s.layOut(b, tmp)
}

// layOut makes what a build has besides the app.
func (s *session) layOut(b *herokugo.Build, tmp string) error {
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
	for _, c := range s.config {
		name, value, _ := strings.Cut(c, "=")
		if err := os.WriteFile(filepath.Join(b.Env, name), []byte(value), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// build takes the app through the buildpack and heroku/go, and returns the names
// of the binaries.
func (s *session) build(ctx context.Context, b *herokugo.Build, goroot, tmp string) ([]string, error) {
	lock, err := s.lock(ctx, b.Cache)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	log := &lineWriter{each: s.buildLog()}
	defer log.flush()
	b.Stdout, b.Stderr = log, log
	buildpack := filepath.Join(tmp, "buildpack")
	if err := errors.Join(machine.CopyBuildpack(buildpack, s.buildpack), b.InstallGo(goroot)); err != nil {
		return nil, err
	}
	if err := b.Run(ctx, buildpack); err != nil {
		return nil, stopped(ctx, fmt.Errorf("the buildpack failed, its output is above: %w", err))
	}
	if _, ok := herokugo.Getenv(b.Environ, "HMETRICS_STAGE"); !ok {
		return nil, errors.New("the buildpack does not link the agent, so the app would not report; its output above says why")
	}
	began := time.Now()
	if err := b.Run(ctx, filepath.Join(s.buildpack, "test", "herokugo", "buildpack")); err != nil {
		return nil, stopped(ctx, fmt.Errorf("the app does not build, the output is above: %w", err))
	}
	return programs(filepath.Join(b.App, "bin"), began)
}

// programs returns the names of the files in dir that were made since.
func programs(dir string, since time.Time) (names []string, err error) {
	files, err := os.ReadDir(dir)
	for _, file := range files {
		if info, err := file.Info(); err == nil && info.Mode().IsRegular() && info.ModTime().After(since) {
			names = append(names, file.Name())
		}
	}
	return names, err
}

// stopped returns err, or what to say in its place if the user stopped the build.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errors.New("interrupted before the app was started")
	}
	return err
}

// lock makes sure that no other run builds with the same CACHE_DIR until it is closed.
func (s *session) lock(ctx context.Context, dir string) (io.Closer, error) {
	for waiting := false; ; waiting = true {
		f, err := machine.Lock(dir)
		if !errors.Is(err, machine.ErrLocked) {
			return f, err
		}
		if !waiting {
			s.say("waiting for another run that builds with %s", dir)
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, errors.New("interrupted while waiting for another run")
		}
	}
}

// inspect notes what will report in each process, whose binaries are in dir: the
// buildpack's agent, or what the app itself reports by. That there is neither in
// any of them is an error. It asks inject verify.
func (s *session) inspect(ctx context.Context, dir string, processes []process) error {
	args := []string{"run", "./inject", "verify", "-json"}
	var names []string
	for _, p := range processes {
		args = append(args, filepath.Join(dir, p.binary))
		names = append(names, "bin/"+p.binary)
	}
	out, runErr := s.goCommand(ctx, s.buildpack, args, "GOFLAGS=-buildvcs=false", "GOWORK=off", "GO111MODULE=", "GOOS=", "GOARCH=")
	// It fails, too, where a program does not report.
	var verdicts []struct {
		Linked, Reports bool
		Off, Reporter   string
		OTLPOff         string `json:"otlp_off"`
	}
	if err := json.Unmarshal(out, &verdicts); err != nil || len(verdicts) != len(processes) {
		return stopped(ctx, fmt.Errorf("asking inject verify of the programs: %w", runErr))
	}
	silent := true
	for i, v := range verdicts {
		p := &processes[i]
		p.agent, p.reporter = v.Reports, v.Off+v.Reporter // at most one of the two
		switch {
		case !v.Linked:
			p.noOTLP = "the agent is not in bin/" + p.binary
		case v.OTLPOff != "":
			p.noOTLP = "the program reports there by itself, with " + v.OTLPOff
		}
		silent = silent && !p.agent && p.reporter == ""
	}
	if silent {
		return fmt.Errorf("nothing would report: the agent is not in %s; the log of the build says why", strings.Join(slices.Compact(names), ", "))
	}
	return nil
}

// goCommand runs the user's go command in the user's environment and more, and
// returns what it prints.
func (s *session) goCommand(ctx context.Context, dir string, args []string, more ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	var stderr bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stderr = dir, slices.Concat(s.environ, []string{"PWD=" + dir}, more), &stderr
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("running go %s: %w\n%s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return out, err
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
