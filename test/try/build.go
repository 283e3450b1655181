//go:build linux

package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/otiai10/copy"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

// build takes a copy of the app in tmp through the buildpack and heroku/go, and finds
// out which processes it has, and what will report in each.
func (s *session) build(ctx context.Context, tmp string) error {
	b, err := s.prepare(ctx, tmp)
	if err != nil {
		return err
	}
	lock, err := machine.Lock(b.Cache)
	for waiting := false; errors.Is(err, machine.ErrLocked) && ctx.Err() == nil; waiting = true {
		if !waiting {
			s.say("waiting for another run that builds with %s", b.Cache)
		}
		time.Sleep(50 * time.Millisecond)
		lock, err = machine.Lock(b.Cache)
	}
	if err != nil {
		return err
	}
	defer lock.Close()
	log := &lineWriter{each: s.buildLog}
	defer log.flush()
	b.Stdout, b.Stderr = log, log
	buildpack := filepath.Join(tmp, "buildpack")
	if err := errors.Join(machine.CopyBuildpack(buildpack, s.buildpack), b.InstallGo(s.goroot)); err != nil {
		return err
	}
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
	files, _ := filepath.Glob(filepath.Join(s.built, "bin", "*"))
	for _, file := range files {
		if _, err := buildinfo.ReadFile(file); err == nil {
			binaries = append(binaries, filepath.Base(file))
		}
	}
	if s.processes, err = s.findProcesses(binaries); err != nil {
		return err
	}
	return s.inspect(ctx)
}

// prepare copies the app to tmp, and lays out a build of the copy.
func (s *session) prepare(ctx context.Context, tmp string) (b *herokugo.Build, err error) {
	if s.app == "" {
		s.app = filepath.Join(s.buildpack, "test", "apps", "plain")
	}
	if _, err := os.Stat(filepath.Join(s.app, "go.mod")); err != nil {
		return nil, usageError{fmt.Errorf("APP_DIR must be the root of a module, as on Heroku: %w "+
			"(of a larger module, -config GO_INSTALL_PACKAGE_SPEC=./cmd/web builds one program)", err)}
	}
	if s.dotenv, err = readDotenv(filepath.Join(s.app, ".env")); err != nil {
		return nil, err
	}
	if len(s.dotenv) > 0 {
		s.say("the app has %s from its .env before it starts, as with heroku local; those that main loads itself come too late for the agent", plural(len(s.dotenv), "variable"))
	}
	s.built = filepath.Join(tmp, "app")
	s.say("copying %s to %s", s.app, s.built)
	if err := s.copyApp(); err != nil {
		return nil, fmt.Errorf("copying the app: %w", err)
	}
	// The build writes into these, and a link in the copy may lead out of it.
	for _, name := range []string{"bin", ".heroku", ".profile.d"} {
		if to, err := os.Readlink(filepath.Join(s.built, name)); err == nil && !filepath.IsLocal(to) {
			return nil, fmt.Errorf("%s in the app is a link to %s, outside the app, which is not there on Heroku: make it a directory", name, to)
		}
	}

	b = &herokugo.Build{App: s.built, Env: filepath.Join(tmp, "env")}
	if b.Environ, err = s.buildEnviron(ctx, tmp); err != nil {
		return nil, err
	}
	if b.Cache, err = filepath.Abs(s.cache); err != nil {
		return nil, err
	}
	s.say("CACHE_DIR is %s, kept for the next run", b.Cache)
	if err := os.Mkdir(b.Env, 0o777); err != nil {
		return nil, err
	}
	for _, c := range s.config {
		name, value, _ := strings.Cut(c, "=")
		if err := os.WriteFile(filepath.Join(b.Env, name), []byte(value), 0o666); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// copyApp copies the app but for its history, and tells what cannot be copied. A link
// stays as it is. The copy may be made in the app itself, in a temporary directory.
func (s *session) copyApp() error {
	tmp := filepath.Base(filepath.Dir(s.built))
	return copy.Copy(s.app+"/.", s.built, copy.Options{
		PermissionControl: copy.AddPermission(0o600), // the build writes there
		Skip: func(info fs.FileInfo, _, _ string) (bool, error) {
			return info.Name() == ".git" || info.Name() == tmp, nil
		},
		OnError: func(_, _ string, err error) error {
			if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENXIO) { // another user's, or a socket
				s.say("not copied: %v", err)
				return nil
			}
			return err
		},
	})
}

// dotenvLine matches an assignment as heroku local reads it: of a value that is not
// quoted, all but a comment. (What else reads such files replaces $NAME in values.)
var dotenvLine = regexp.MustCompile(`(?m)^[ \t]*([^#=\s]+)[ \t]*=[ \t]*(?:"([^"\n]*)"|'([^'\n]*)'|([^#\r\n]*?)[ \t]*(?:#.*)?\r?$)`)

// readDotenv returns the assignments in a file, which need not be there.
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

// reach matches the variables, besides those in goReach, that say how this machine
// reaches the network, the user's credentials and the user's language.
var reach = regexp.MustCompile(`(?i)^(HOME|USER|LOGNAME|PATH|LANG|LC_ALL|XDG_CONFIG_HOME|(HTTP|HTTPS|NO|ALL)_PROXY|SSL_CERT_(FILE|DIR)|` +
	`CURL_CA_BUNDLE|NETRC|SSH_AUTH_SOCK|GIT_(SSL_CAINFO|SSH_COMMAND|CONFIG_GLOBAL|TERMINAL_PROMPT))=`)

// goReach are the go command's settings of the same kind, which may be in its own
// file as well as in the environment. GOMODCACHE is one of them so that what the
// user has downloaded is there. Everything else in that file, GOFLAGS above all,
// is the user's and not the platform's.
var goReach = []string{
	"GOAUTH", "GOINSECURE", "GOMODCACHE", "GONOPROXY", "GONOSUMDB", "GOPRIVATE", "GOPROXY", "GOSUMDB", "GOTOOLCHAIN", "GOVCS",
}

// buildEnviron returns the environment that the platform's build has here, and finds
// the GOROOT to build with.
func (s *session) buildEnviron(ctx context.Context, tmp string) (env []string, err error) {
	for _, v := range s.environ {
		if reach.MatchString(v) {
			env = append(env, v)
		}
	}
	out, err := s.goCommand(ctx, s.buildpack, append([]string{"env", "GOROOT"}, goReach...))
	if err != nil {
		return nil, err
	}
	values := strings.Split(string(out), "\n")
	for i, name := range goReach {
		if value := values[i+1]; value != "" {
			env = append(env, name+"="+value)
		}
	}
	env = append(env, "GOENV=off", "STACK=heroku-24", "TMPDIR="+tmp)
	if s.goroot == "" {
		s.goroot = values[0]
		return env, nil
	}
	s.goroot, err = filepath.Abs(s.goroot)
	return append(env, "GOTOOLCHAIN=local"), err
}

// inspect notes what will report in each process: the buildpack's agent, or what the
// app itself reports by. That there is neither in any of them is an error. It asks
// inject verify.
func (s *session) inspect(ctx context.Context) error {
	args := []string{"run", "./inject", "verify", "-json"}
	for _, p := range s.processes {
		args = append(args, filepath.Join(s.built, "bin", p.binary))
	}
	out, runErr := s.goCommand(ctx, s.buildpack, args,
		"GOFLAGS=-buildvcs=false", "GOWORK=off", "GO111MODULE=", "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	// It fails, too, where a program does not report.
	var verdicts []struct {
		Linked, Reports bool
		Off, Reporter   string // at most one of the two
		OTLPOff         string `json:"otlp_off"`
	}
	if err := json.Unmarshal(out, &verdicts); err != nil || len(verdicts) != len(s.processes) {
		return fmt.Errorf("asking inject verify of the programs: %w", runErr)
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
