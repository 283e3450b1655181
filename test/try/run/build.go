//go:build linux

package main

import (
	"bytes"
	"cmp"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/dsnet/try"
	"github.com/otiai10/copy"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

// build builds a copy of the app in tmp with the buildpack and heroku/go, and finds its
// processes and what reports in each.
func (s *session) build(ctx context.Context, tmp string) (err error) {
	defer try.Handle(&err)
	b, goroot := s.prepare(ctx, tmp)
	defer s.lock(ctx, b.Cache).Close()
	log := &lineWriter{each: s.buildLog}
	defer log.flush()
	b.Stdout, b.Stderr = log, log
	buildpack := filepath.Join(tmp, "buildpack")
	try.E(machine.CopyBuildpack(buildpack, s.buildpack))
	try.E(b.InstallGo(goroot))
	if err := b.Run(ctx, buildpack); err != nil {
		return fmt.Errorf("the buildpack failed, its output is above: %w", err)
	}
	if _, ok := herokugo.Getenv(b.Environ, "HMETRICS_STAGE"); !ok {
		return errors.New("the buildpack does not link the agent, so the app would not report; its output above says why")
	}
	if err := b.Run(ctx, filepath.Join(s.buildpack, "test", "herokugo", "buildpack")); err != nil {
		return fmt.Errorf("the app does not build, the output is above (as on Heroku, only what is in APP_DIR is there): %w", err)
	}
	var binaries []string
	for _, file := range try.E1(filepath.Glob(filepath.Join(s.built, "bin", "*"))) {
		if _, err := buildinfo.ReadFile(file); err == nil {
			binaries = append(binaries, filepath.Base(file))
		}
	}
	s.processes = try.E1(s.findProcesses(binaries))
	return s.inspect(ctx)
}

// lock waits for other runs that build with the cache.
func (s *session) lock(ctx context.Context, cache string) io.Closer {
	for waiting := false; ; waiting = true {
		lock, err := machine.Lock(cache)
		if !errors.Is(err, machine.ErrLocked) || ctx.Err() != nil {
			return try.E1(lock, err)
		}
		if !waiting {
			s.logf("waiting for another run that builds with %s", cache)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// prepare copies the app to tmp, and prepares a build of the copy.
func (s *session) prepare(ctx context.Context, tmp string) (b *herokugo.Build, goroot string) {
	s.app = cmp.Or(s.app, filepath.Join(s.buildpack, "test", "apps", "plain"))
	if _, err := os.Stat(filepath.Join(s.app, "go.mod")); err != nil {
		try.E(usageError{fmt.Errorf("APP_DIR must be the root of a module, as on Heroku: %w "+
			"(of a larger module, -config GO_INSTALL_PACKAGE_SPEC=./cmd/web builds one program)", err)})
	}
	if s.dotenv = try.E1(readDotenv(filepath.Join(s.app, ".env"))); len(s.dotenv) > 0 {
		s.logf("the app has %s from its .env before it starts, as with heroku local; those that main loads itself come too late for the agent", plural(len(s.dotenv), "variable"))
	}
	s.built = filepath.Join(tmp, "app")
	s.logf("copying %s to %s", s.app, s.built)
	try.E(s.copyApp())
	// The build writes into these, and a link in the copy may lead out of it.
	for _, name := range []string{"bin", ".heroku", ".profile.d"} {
		if to, err := os.Readlink(filepath.Join(s.built, name)); err == nil && !filepath.IsLocal(to) {
			try.E(fmt.Errorf("%s in the app is a link to %s, outside the app, which does not exist on Heroku: make it a directory", name, to))
		}
	}
	b = &herokugo.Build{App: s.built, Env: filepath.Join(tmp, "env"), Cache: try.E1(filepath.Abs(s.cache))}
	b.Environ, goroot = s.buildEnviron(ctx, tmp)
	s.logf("CACHE_DIR is %s, kept for the next run", b.Cache)
	try.E(os.Mkdir(b.Env, 0o777))
	for _, c := range s.config {
		name, value, _ := strings.Cut(c, "=")
		try.E(os.WriteFile(filepath.Join(b.Env, name), []byte(value), 0o666))
	}
	return b, goroot
}

// copyApp copies the app without its history, and prints what it cannot copy. Links stay
// unchanged. The copy may lie in the app itself, in a temporary directory.
func (s *session) copyApp() error {
	tmp := filepath.Base(filepath.Dir(s.built))
	return copy.Copy(s.app+"/.", s.built, copy.Options{
		PermissionControl: copy.AddPermission(0o600), // the build writes there
		Skip: func(info fs.FileInfo, _, _ string) (bool, error) {
			return info.Name() == ".git" || info.Name() == tmp, nil
		},
		OnError: func(_, _ string, err error) error {
			if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENXIO) { // another user's, or a socket
				s.logf("not copied: %v", err)
				return nil
			}
			return err
		},
	})
}

// dotenvLine matches an assignment as heroku local reads it: a value without quotes ends at
// a comment. (Other readers of such files replace $NAME in values.)
var dotenvLine = regexp.MustCompile(`(?m)^[ \t]*([^#=\s]+)[ \t]*=[ \t]*(?:"([^"\n]*)"|'([^'\n]*)'|([^#\r\n]*?)[ \t]*(?:#.*)?\r?$)`)

// readDotenv returns the assignments in a file, which need not exist.
func readDotenv(file string) (env []string, err error) {
	content, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("reading the app's .env: %w", err)
	}
	for _, m := range dotenvLine.FindAllStringSubmatch(string(content), -1) {
		env = append(env, m[1]+"="+m[2]+m[3]+m[4]) // at most one of the three is not empty
	}
	return env, nil
}

// users matches the variables of the user's environment that a build needs in addition to
// those of machine.Environ: the user's programs, credentials and language.
var users = regexp.MustCompile(`^(HOME|USER|LOGNAME|PATH|LANG|LC_ALL|XDG_CONFIG_HOME|CURL_CA_BUNDLE|NETRC|SSH_AUTH_SOCK|` +
	`GIT_(SSL_CAINFO|SSH_COMMAND|CONFIG_GLOBAL|TERMINAL_PROMPT))=`)

// buildEnviron returns the environment of the build, and the GOROOT to build with.
func (s *session) buildEnviron(ctx context.Context, tmp string) (env []string, goroot string) {
	env, values := try.E2(machine.Environ(ctx, "GOTOOLCHAIN"))
	for _, v := range s.environ {
		if users.MatchString(v) {
			env = append(env, v)
		}
	}
	return append(env, "GOTOOLCHAIN="+values[1], "STACK=heroku-24", "TMPDIR="+tmp), values[0]
}

// inspect runs inject verify to find what reports in each process: the buildpack's agent, or
// a package of the app's own. It returns an error if nothing reports.
func (s *session) inspect(ctx context.Context) error {
	args := []string{"run", "./inject", "verify", "-json"}
	for _, p := range s.processes {
		args = append(args, filepath.Join(s.built, "bin", p.binary))
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = s.buildpack, append(s.environ[:len(s.environ):len(s.environ)], "PWD="+s.buildpack,
		"GOFLAGS=-buildvcs=false", "GOWORK=off", "GO111MODULE=", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, runErr := cmd.Output() // it fails, too, where a program does not report
	var verdicts []struct {
		Linked, Reports bool
		Off, Reporter   string // at most one of the two
		OTLPOff         string `json:"otlp_off"`
	}
	if err := json.Unmarshal(out, &verdicts); err != nil || len(verdicts) != len(s.processes) {
		return fmt.Errorf("asking inject verify of the programs: %w\n%s", runErr, &stderr)
	}
	silent := true
	for i, v := range verdicts {
		p := s.processes[i]
		reporter, without := v.Off+v.Reporter, "the agent is not in bin/"+p.binary
		switch {
		case reporter != "":
			p.expect = "reporting by itself with " + reporter
		case v.Reports:
			p.expect = fmt.Sprintf("reporting every %v", s.interval)
		default:
			p.expect = "not reporting: " + without
		}
		switch {
		case !v.Linked:
			p.noOTLP = without
		case v.OTLPOff != "":
			p.noOTLP = "the program reports there by itself, with " + v.OTLPOff
		}
		silent = silent && !v.Reports && reporter == ""
	}
	if silent {
		return errors.New("nothing would report: the agent is in none of the app's programs; the log of the build says why")
	}
	return nil
}
