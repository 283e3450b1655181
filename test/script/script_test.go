// Package script holds the scenarios: one behaviour of the buildpack each, in
// the format of testscript. A scenario runs the real scripts, go commands and
// binaries.
//
// Its directories are those of a platform: $BUILDPACK is a copy of this
// repository's buildpack, $APP an app's sources, $CACHE_DIR and $ENV_DIR what
// bin/compile is given. $APPS names the directory test/apps.
package script

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

// buildInject builds command inject of the checkout root, for scenarios that call
// it by hand.
func buildInject(dir, root string) error {
	cmd := exec.Command("go", "build", "-o", dir, "./inject")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("building inject: %w\n%s", err, out)
	}
	return nil
}

func TestScripts(t *testing.T) {
	testscript.Run(t, params(t))
}

// params are what all scenarios have in common.
func params(t *testing.T) testscript.Params {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	// Scenarios share the caches of the go command that runs the tests.
	environ, values, err := machine.Environ(context.Background(), "GOCACHE")
	if err != nil {
		t.Fatal(err)
	}
	tools := t.TempDir()
	if err := buildInject(tools, root); err != nil {
		t.Fatal(err)
	}
	return testscript.Params{
		Dir: ".",
		Setup: func(env *testscript.Env) error {
			if err := machine.CopyBuildpack(filepath.Join(env.WorkDir, "buildpack"), root); err != nil {
				return err
			}
			for _, assignment := range append(environ[:len(environ):len(environ)], "GOROOT="+values[0], "GOCACHE="+values[1]) {
				name, value, _ := strings.Cut(assignment, "=")
				env.Setenv(name, value)
			}
			env.Setenv("BUILDPACK", filepath.Join(env.WorkDir, "buildpack"))
			env.Setenv("APP", filepath.Join(env.WorkDir, "app"))
			env.Setenv("APPS", filepath.Join(root, "test", "apps"))
			env.Setenv("CACHE_DIR", filepath.Join(env.WorkDir, "cache"))
			env.Setenv("ENV_DIR", filepath.Join(env.WorkDir, "env"))
			env.Setenv("PATH", tools+":"+env.Getenv("PATH"))
			env.Setenv("GOBIN", filepath.Join(env.WorkDir, "bin"))
			env.Setenv("HMETRICS_INTERVAL", "1s")
			return nil
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "toolchains", "slow":
				return os.Getenv("HMETRICS_TEST_"+strings.ToUpper(cond)) == "1", nil
			case "mount": // whether this test may mount file systems
				return exec.Command("unshare", "--mount", "true").Run() == nil, nil
			}
			return false, fmt.Errorf("unknown condition %s", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"buildpack": cmdBuildpack,
			"config":    cmdConfig,
			"dyno":      cmdDyno,
			"heroku-go": cmdHerokuGo,
			"linked":    cmdLinked,
			"log":       cmdLog,
			"toolchain": cmdToolchain,
		},
	}
}

// config NAME VALUE sets a config var, a file in $ENV_DIR.
func cmdConfig(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: config NAME VALUE")
	}
	ts.Check(os.MkdirAll(ts.Getenv("ENV_DIR"), 0o777))
	ts.Check(os.WriteFile(filepath.Join(ts.Getenv("ENV_DIR"), args[0]), []byte(args[1]), 0o666))
}

// exported are the variables that bin/compile hands on.
var exported = []string{"GOFLAGS", "HMETRICS_STAGE", "HMETRICS_INJECT"}

// buildpack runs bin/detect and bin/compile on $APP and then, as the platform
// does before it runs the next buildpack, sources export: what it sets is set
// in the scenario. The next build begins with GOFLAGS as the scenario had it.
func cmdBuildpack(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 0 {
		ts.Fatalf("usage: buildpack")
	}
	if ts.Getenv("GOFLAGS") == ts.Getenv("EXPORTED_GOFLAGS") {
		ts.Setenv("GOFLAGS", ts.Getenv("SCENARIO_GOFLAGS"))
	}
	ts.Setenv("SCENARIO_GOFLAGS", ts.Getenv("GOFLAGS"))
	ts.Check(os.MkdirAll(ts.Getenv("CACHE_DIR"), 0o777))
	run := func(script string, args ...string) error { return ts.Exec(ts.Getenv("BUILDPACK")+script, args...) }
	err := run("/bin/detect", ts.Getenv("APP"))
	if err == nil {
		err = run("/bin/compile", ts.Getenv("APP"), ts.Getenv("CACHE_DIR"), ts.Getenv("ENV_DIR"))
	}
	if (err == nil) == neg {
		ts.Fatalf("bin/compile: %v", err)
	}
	environ := []string{"GOFLAGS=" + ts.Getenv("GOFLAGS"), "PATH=" + ts.Getenv("PATH")}
	export := ts.Getenv("BUILDPACK") + "/export"
	if _, err := os.Stat(export); err == nil {
		environ, err = herokugo.Source(context.Background(), export, environ, io.Discard)
		ts.Check(err)
	}
	for _, name := range exported {
		value, _ := herokugo.Getenv(environ, name)
		ts.Setenv(name, value)
	}
	ts.Setenv("EXPORTED_GOFLAGS", ts.Getenv("GOFLAGS"))
}

// heroku-go runs the Go buildpack's part of the build on $APP, in the
// scenario's environment: with GOROOT in place of the Go that it would download,
// and with the build cache of all scenarios.
func cmdHerokuGo(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 0 {
		ts.Fatalf("usage: heroku-go")
	}
	cache := filepath.Join(ts.Getenv("CACHE_DIR"), ".heroku", "go")
	ts.Check(os.MkdirAll(cache, 0o777))
	version, err := os.ReadFile(filepath.Join(ts.Getenv("GOROOT"), "VERSION"))
	ts.Check(err)
	// Laid out beforehand, since an unknown release empties the directory.
	unpacked := filepath.Join(cache, strings.Fields(string(version))[0], "go")
	for link, to := range map[string]string{
		unpacked:                               ts.Getenv("GOROOT"),
		filepath.Join(cache, "go-build-cache"): ts.Getenv("GOCACHE"),
	} {
		ts.Check(os.MkdirAll(filepath.Dir(link), 0o777))
		if err := os.Symlink(to, link); err != nil && !errors.Is(err, fs.ErrExist) {
			ts.Fatalf("heroku-go: %v", err)
		}
	}
	b := &herokugo.Build{
		App: ts.Getenv("APP"), Cache: ts.Getenv("CACHE_DIR"), Env: ts.Getenv("ENV_DIR"),
		Stdout: ts.Stdout(), Stderr: ts.Stderr(),
	}
	for _, name := range herokuGoEnviron {
		if value := ts.Getenv(name); value != "" {
			b.Environ = append(b.Environ, name+"="+value)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if err := b.Run(ctx, &herokugo.Go{Root: ts.Getenv("GOROOT")}); (err == nil) == neg {
		ts.Fatalf("heroku-go: %v", err)
	}
}

// herokuGoEnviron are the variables of a scenario that reach the Go buildpack.
var herokuGoEnviron = append(exported, "PATH", "HOME", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GONOSUMDB",
	"GOPRIVATE", "GOINSECURE", "GOENV", "GOTOOLCHAIN", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE",
	"SSL_CERT_DIR", "TMPDIR", "SOURCE_VERSION")

// dyno [-n REPORTS] BINARY [ARG...] runs a binary as a dyno with the labs flag
// would, until the metrics endpoint has accepted that many reports (default 2),
// and kills it. A refused report fails the scenario.
func cmdDyno(ts *testscript.TestScript, neg bool, args []string) {
	n := 2
	if len(args) > 2 && args[0] == "-n" {
		if _, err := fmt.Sscan(args[1], &n); err != nil {
			ts.Fatalf("dyno: %v", err)
		}
		args = args[2:]
	}
	if neg || len(args) == 0 {
		ts.Fatalf("usage: dyno [-n REPORTS] BINARY [ARG...]")
	}
	srv, err := endpoint.Start(endpoint.Options{})
	ts.Check(err)
	defer srv.Close()

	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, ts.MkAbs(args[0]), args[1:]...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = []string{
		"PATH=/usr/bin:/bin", "PORT=0", "DYNO=web.1",
		"HEROKU_METRICS_URL=" + srv.URL("web"), "HMETRICS_INTERVAL=" + ts.Getenv("HMETRICS_INTERVAL"),
		"HMETRICS_VERBOSE=" + ts.Getenv("HMETRICS_VERBOSE"),
	}
	start := time.Now()
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait(); cancel() }()
	reports, err := srv.Wait(ctx, n)
	cmd.Process.Kill()
	exit := <-ended
	if err != nil {
		ts.Fatalf("dyno: %d of %d reports arrived in %v (%v)\n%s", len(srv.Reports()), n, time.Since(start), exit, out.String())
	}
	for _, r := range srv.Rejected() {
		ts.Fatalf("dyno: a report was refused: %s", r.Reason)
	}
	if strings.Contains(out.String(), srv.URL("web")) {
		ts.Fatalf("dyno: the output holds the endpoint's URL")
	}
	fmt.Fprintf(ts.Stdout(), "%d reports, first after %.0f s\n%s", len(reports), reports[0].Received.Sub(start).Seconds(), out.String())
}

// linked BINARY... looks for the agent's functions in each binary.
func cmdLinked(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: linked BINARY...")
	}
	for _, file := range args {
		if found := strings.Contains(ts.ReadFile(file), "hmetrics.injected/agent/onload"); found == neg {
			ts.Fatalf("%s: agent linked: %v", file, found)
		}
	}
}

// log FILE compares what the last command wrote to its stdout with FILE, in which
// "..." stands for anything within a line.
func cmdLog(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: log FILE")
	}
	got, want := ts.ReadFile("stdout"), ts.ReadFile(args[0])
	if re := strings.ReplaceAll(regexp.QuoteMeta(want), `\.\.\.`, ".*"); !regexp.MustCompile(`\A` + re + `\z`).MatchString(got) {
		ts.Fatalf("the log is\n%s\nwant, as in %s,\n%s", got, args[0], want)
	}
}

// toolchain VERSION makes a Go release the one that PATH finds.
func cmdToolchain(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: toolchain VERSION")
	}
	root, err := machine.GOROOT(context.Background(), args[0])
	ts.Check(err)
	ts.Setenv("GOROOT", root)
	ts.Setenv("PATH", machine.Path(root))
}
