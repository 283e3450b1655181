// Package script holds the scenarios: one behaviour of the buildpack each, in
// the format of testscript. A scenario runs the real scripts, go commands and
// binaries.
//
// Its directories are those of a platform: $BUILDPACK is a copy of this
// repository's buildpack, $APP an app's sources, $CACHE_DIR and $ENV_DIR what
// bin/compile is given. $APPS names the directory test/apps. A scenario that is not
// about $CACHE_DIR sets it to $SHARED_CACHE, where the agent has been compiled.
package script

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
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
	t.Parallel()
	testscript.Run(t, params(t))
}

// params are what all scenarios have in common.
func params(t *testing.T) testscript.Params {
	module, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	// go test knows of a test which files below its module it has opened, and runs it
	// again when they change. By this name, which is not cleaned, all of the checkout
	// are.
	root := module + "/.."
	// Scenarios share the caches of the go command that runs the tests.
	environ, values, err := machine.Environ(context.Background(), "GOCACHE")
	if err != nil {
		t.Fatal(err)
	}
	cache, err := os.MkdirTemp("", "script.cache")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { herokugo.RemoveAll(cache) })
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
			env.Setenv("SHARED_CACHE", cache)
			env.Setenv("ENV_DIR", filepath.Join(env.WorkDir, "env"))
			env.Setenv("PATH", tools+":"+env.Getenv("PATH"))
			env.Setenv("GOBIN", filepath.Join(env.WorkDir, "bin"))
			env.Setenv("HMETRICS_INTERVAL", "1s")
			return nil
		},
		Condition: condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"app":       cmdApp,
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

// condition tells what scenarios ask of the machine, and of the variables that let
// them take long.
func condition(cond string) (bool, error) {
	script := ""
	switch cond {
	case "toolchains", "slow":
		return os.Getenv("HMETRICS_TEST_"+strings.ToUpper(cond)) == "1", nil
	case "mount": // whether this test may mount file systems
		script = "unshare --mount true"
	case "asan":
		script = "echo 'int main(){return 0;}' | gcc -fsanitize=address -x c -o /dev/null -"
	case "v3":
		script = "grep -qw avx2 /proc/cpuinfo && grep -qw bmi2 /proc/cpuinfo && grep -qw fma /proc/cpuinfo"
	default:
		return false, fmt.Errorf("unknown condition %s", cond)
	}
	return exec.Command("sh", "-c", script).Run() == nil, nil
}

// app NAME puts an app of $APPS in the place of the one in $APP.
func cmdApp(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: app NAME")
	}
	if _, err := os.Stat(filepath.Join(ts.Getenv("APP"), "go.mod")); err == nil {
		// Not the directory itself: a scenario may work in it.
		old, err := filepath.Glob(filepath.Join(ts.Getenv("APP"), "*"))
		ts.Check(err)
		for _, path := range old {
			ts.Check(os.RemoveAll(path))
		}
	}
	ts.Check(os.CopyFS(ts.Getenv("APP"), os.DirFS(filepath.Join(ts.Getenv("APPS"), args[0]))))
}

// config NAME VALUE sets a config var, a file in $ENV_DIR.
func cmdConfig(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: config NAME VALUE")
	}
	ts.Check(os.MkdirAll(ts.Getenv("ENV_DIR"), 0o777))
	ts.Check(os.WriteFile(filepath.Join(ts.Getenv("ENV_DIR"), args[0]), []byte(args[1]), 0o666))
}

// compiling is held while a bin/compile works in the shared cache: a platform runs one
// at a time there.
var compiling sync.Mutex

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
	if ts.Getenv("CACHE_DIR") == ts.Getenv("SHARED_CACHE") {
		compiling.Lock()
		defer compiling.Unlock()
	}
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

// heroku-go runs the Go buildpack's part of the build on $APP, in the scenario's
// environment: with the Go in GOROOT and the build cache of all scenarios.
func cmdHerokuGo(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 0 {
		ts.Fatalf("usage: heroku-go")
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
	ts.Check(b.InstallGo(ts.Getenv("GOROOT")))
	gocache := filepath.Join(b.Cache, ".heroku", "go", "go-build-cache")
	if err := os.Symlink(ts.Getenv("GOCACHE"), gocache); err != nil && !errors.Is(err, fs.ErrExist) {
		ts.Fatalf("heroku-go: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if err := b.Run(ctx, filepath.Join(ts.Getenv("APPS"), "..", "herokugo", "buildpack")); (err == nil) == neg {
		ts.Fatalf("heroku-go: %v", err)
	}
}

// herokuGoEnviron are the variables of a scenario that reach the Go buildpack.
var herokuGoEnviron = append(exported, "PATH", "HOME", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GONOSUMDB",
	"GOPRIVATE", "GOINSECURE", "GOENV", "GOTOOLCHAIN", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE",
	"SSL_CERT_DIR", "TMPDIR", "SOURCE_VERSION")

// dyno [-n REPORTS] [-exports EXPORTS] [-prints REGEXP] COMMAND [ARG...] runs a binary,
// or a go command, as a dyno with the labs flag would, until the metrics endpoint has
// accepted that many reports to Heroku (default 1) and by OTLP, and the output matches.
// Then it is killed. A refused report fails the scenario.
func cmdDyno(ts *testscript.TestScript, neg bool, args []string) {
	flags := flag.NewFlagSet("dyno", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	n, exports, prints := flags.Int("n", 1, ""), flags.Int("exports", 0, ""), flags.String("prints", "", "")
	if err := flags.Parse(args); err != nil || neg || flags.NArg() == 0 {
		ts.Fatalf("usage: dyno [-n REPORTS] [-exports EXPORTS] [-prints REGEXP] COMMAND [ARG...]")
	}
	srv, err := endpoint.Start(endpoint.Options{})
	ts.Check(err)
	defer srv.Close()

	cmd := exec.Command(ts.MkAbs(flags.Arg(0)), flags.Args()[1:]...)
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	limit := time.Minute
	if flags.Arg(0) == "go" { // it builds first
		cmd.Path, cmd.Env = filepath.Join(ts.Getenv("GOROOT"), "bin", "go"), environ(ts)
		limit = 10 * time.Minute
	}
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(cmd.Env, "PWD="+cmd.Dir, "PORT=0", "DYNO=web.1",
		"HEROKU_METRICS_URL="+srv.URL("web"), "HMETRICS_INTERVAL="+ts.Getenv("HMETRICS_INTERVAL"),
		"HMETRICS_VERBOSE="+ts.Getenv("HMETRICS_VERBOSE"))
	if *exports > 0 {
		cmd.Env = append(cmd.Env, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT="+srv.OTLPURL("web"), "OTEL_METRIC_EXPORT_INTERVAL=1000")
	}
	out := &output{want: regexp.MustCompile(*prints), printed: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = out, out
	io.WriteString(out, "") // what is to match nothing has been printed
	start := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- herokugo.RunGroup(ctx, cmd); cancel() }()
	_, err = srv.Wait(ctx, *n)
	if err == nil {
		_, err = srv.WaitExports(ctx, *exports)
	}
	if err == nil {
		err = out.wait(ctx)
	}
	cancel()
	exit := <-ended
	if err != nil {
		ts.Fatalf("dyno: %d reports and %d exports arrived in %v (%v)\n%s", len(srv.Reports()), len(srv.Exports()), time.Since(start), exit, out)
	}
	for _, r := range srv.Rejected() {
		ts.Fatalf("dyno: a report was refused: %s", r.Reason)
	}
	if strings.Contains(out.String(), srv.URL("web")) {
		ts.Fatalf("dyno: the output holds the endpoint's URL")
	}
	if reports := srv.Reports(); len(reports) > 0 {
		fmt.Fprintf(ts.Stdout(), "%d reports, first after %.0f s\n", len(reports), reports[0].Received.Sub(start).Seconds())
	}
	fmt.Fprint(ts.Stdout(), out)
}

// An output keeps what is written to it, and tells when that matches.
type output struct {
	mu      sync.Mutex
	b       bytes.Buffer
	want    *regexp.Regexp
	printed chan struct{} // closed then
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b.Write(p)
	if o.want != nil && o.want.Match(o.b.Bytes()) {
		o.want = nil
		close(o.printed)
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func (o *output) wait(ctx context.Context) error {
	select {
	case <-o.printed:
		return nil
	case <-ctx.Done():
	}
	select { // it may have ended right after
	case <-o.printed:
		return nil
	default:
		return fmt.Errorf("it did not print what it should: %w", ctx.Err())
	}
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

// environ returns the scenario's environment variables.
func environ(ts *testscript.TestScript) []string {
	ts.Check(ts.Exec("env", "-0"))
	return strings.Split(strings.TrimSuffix(ts.ReadFile("stdout"), "\x00"), "\x00")
}

func TestMain(m *testing.M) {
	// A scenario waits for reports, too, and leaves the processors to another one.
	flag.Parse()
	flag.Set("test.parallel", strconv.Itoa(runtime.GOMAXPROCS(0)+1))
	os.Exit(m.Run())
}
