//go:build linux

package script

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/dsnet/try"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/proxy"
)

// app NAME replaces the app in $APP with one of $APPS.
func cmdApp(ts *testscript.TestScript, args []string) {
	// Not the directory itself: a scenario may work in it.
	for _, path := range try.E1(filepath.Glob(filepath.Join(ts.Getenv("APP"), "*"))) {
		ts.Check(os.RemoveAll(path))
	}
	ts.Check(os.CopyFS(ts.Getenv("APP"), os.DirFS(filepath.Join(ts.Getenv("APPS"), args[0]))))
}

// config NAME VALUE sets a config var, a file in $ENV_DIR.
func cmdConfig(ts *testscript.TestScript, args []string) {
	ts.Check(os.MkdirAll(ts.Getenv("ENV_DIR"), 0o777))
	ts.Check(os.WriteFile(filepath.Join(ts.Getenv("ENV_DIR"), args[0]), []byte(args[1]), 0o666))
}

// compiling is locked while bin/compile works in the shared cache: a platform runs one at a
// time there.
var compiling sync.Mutex

// exported are the variables that bin/compile exports.
var exported = []string{"GOFLAGS", "HMETRICS_STAGE", "HMETRICS_INJECT"}

// buildpack runs bin/detect and bin/compile on $APP. Then it sources export, as the platform
// does before the next buildpack, and sets its variables in the scenario.
func cmdBuildpack(ts *testscript.TestScript, neg bool, args []string) {
	ts.Setenv("GOFLAGS", ts.Getenv("USER_GOFLAGS"))
	environ := environ(ts)
	ts.Check(os.MkdirAll(ts.Getenv("CACHE_DIR"), 0o777))
	if ts.Getenv("CACHE_DIR") == ts.Getenv("SHARED_CACHE") {
		compiling.Lock()
		defer compiling.Unlock()
	}
	bin := ts.Getenv("BUILDPACK") + "/bin/"
	err := ts.Exec(bin+"detect", ts.Getenv("APP"))
	if err == nil {
		err = ts.Exec(bin+"compile", ts.Getenv("APP"), ts.Getenv("CACHE_DIR"), ts.Getenv("ENV_DIR"))
	}
	if (err == nil) == neg {
		ts.Fatalf("bin/compile: %v", err)
	}
	export := ts.Getenv("BUILDPACK") + "/export"
	if _, err := os.Stat(export); err == nil {
		environ, err = herokugo.Source(context.Background(), export, environ, io.Discard)
		ts.Check(err)
	}
	for _, name := range exported {
		value, _ := herokugo.Getenv(environ, name)
		ts.Setenv(name, value)
	}
}

// heroku-go runs the Go buildpack's part of the build on $APP in the scenario's environment,
// with the Go in GOROOT and the build cache that all scenarios share.
func cmdHerokuGo(ts *testscript.TestScript, neg bool, args []string) {
	b := &herokugo.Build{App: ts.Getenv("APP"), Cache: ts.Getenv("CACHE_DIR"), Env: ts.Getenv("ENV_DIR"), Environ: environ(ts)}
	b.Stdout, b.Stderr = ts.Stdout(), ts.Stderr()
	ts.Check(b.InstallGo(ts.Getenv("GOROOT")))
	gocache := filepath.Join(b.Cache, ".heroku", "go", "go-build-cache")
	if err := os.Symlink(ts.Getenv("GOCACHE"), gocache); err != nil && !errors.Is(err, fs.ErrExist) {
		ts.Fatalf("heroku-go: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if err := b.Run(ctx, try.E1(filepath.Abs("../herokugo/buildpack"))); (err == nil) == neg {
		ts.Fatalf("heroku-go: %v", err)
	}
}

// dyno [-tls] [-n REPORTS] [-exports EXPORTS] [-prints REGEXP] COMMAND [ARG...] runs a program
// or a go command like a dyno with the labs flag. Once the metrics endpoint has accepted that
// many reports (default 1) and exports, and the output matches, it kills the
// program. A refused report fails the scenario.
func cmdDyno(ts *testscript.TestScript, args []string) {
	flags := flag.NewFlagSet("dyno", flag.PanicOnError)
	n, exports, prints, https := flags.Int("n", 1, ""), flags.Int("exports", 0, ""), flags.String("prints", "", ""), flags.Bool("tls", false, "")
	flags.Parse(args)
	cmd := exec.Command(ts.MkAbs(flags.Arg(0)), flags.Args()[1:]...)
	if flags.Arg(0) == "go" {
		cmd.Path = filepath.Join(ts.Getenv("GOROOT"), "bin", "go")
	}
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(environ(ts), "PWD="+cmd.Dir, "PORT=0", "DYNO=web.1")
	var options endpoint.Options
	if *https {
		trusted := ts.MkAbs("trusted.pem")
		options.TLS = try.E1(endpoint.SelfSigned(trusted))
		cmd.Env = append(cmd.Env, "SSL_CERT_FILE="+trusted)
	}
	srv := try.E1(endpoint.Start(options))
	defer srv.Close()
	cmd.Env = append(cmd.Env, "HEROKU_METRICS_URL="+srv.URL("web"))
	if *exports > 0 {
		cmd.Env = append(cmd.Env, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT="+srv.OTLPURL("web"), "OTEL_METRIC_EXPORT_INTERVAL=1000")
	}
	start := time.Now()
	out, err := runUntil(cmd, srv, *n, *exports, regexp.MustCompile(*prints))
	reports := srv.Reports()
	switch {
	case err != nil:
		ts.Fatalf("dyno: %v: %d reports and %d exports in %v\n%s", err, len(reports), len(srv.Exports()), time.Since(start), out)
	case len(srv.Rejected()) > 0:
		ts.Fatalf("dyno: a report was refused: %s", srv.Rejected()[0].Reason)
	case strings.Contains(out, srv.URL("web")):
		ts.Fatalf("dyno: the output holds the endpoint's URL")
	case len(reports) > 0:
		fmt.Fprintf(ts.Stdout(), "%d reports, first after %.0f s\n", len(reports), reports[0].Received.Sub(start).Seconds())
	}
	fmt.Fprint(ts.Stdout(), out)
}

// runUntil runs cmd until srv has accepted so many reports and exports, and what cmd has
// printed matches want. It returns what cmd has printed.
func runUntil(cmd *exec.Cmd, srv *endpoint.Server, reports, exports int, want *regexp.Regexp) (string, error) {
	out := &output{want: want, matched: make(chan struct{})}
	out.Write(nil) // an empty expression matches this
	cmd.Stdout, cmd.Stderr = out, out
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // a go command builds first
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		ended <- herokugo.RunGroup(ctx, cmd)
		cancel()
	}()
	_, err := srv.Wait(ctx, reports)
	if err == nil {
		_, err = srv.WaitExports(ctx, exports)
	}
	select {
	case <-out.matched:
	case <-ctx.Done():
	}
	cancel()
	exit := <-ended
	if err == nil && out.want != nil {
		err = fmt.Errorf("the output does not match %s", want)
	}
	if err != nil {
		err = fmt.Errorf("%w (%v)", err, exit)
	}
	return out.text.String(), err
}

// output closes matched once its text matches want.
type output struct {
	text    bytes.Buffer
	want    *regexp.Regexp // nil after that
	matched chan struct{}
}

func (o *output) Write(b []byte) (int, error) {
	n, err := o.text.Write(b)
	if o.want != nil && o.want.Match(o.text.Bytes()) {
		o.want = nil
		close(o.matched)
	}
	return n, err
}

// linked PROGRAM... looks for the agent's functions in each program.
func cmdLinked(ts *testscript.TestScript, neg bool, args []string) {
	for _, file := range args {
		if found := strings.Contains(ts.ReadFile(file), "hmetrics.injected/agent/internal/start"); found == neg {
			ts.Fatalf("%s: agent linked: %v", file, found)
		}
	}
}

// log FILE compares the stdout of the last command with FILE, in which "..." stands for
// anything within a line.
func cmdLog(ts *testscript.TestScript, args []string) {
	got, want := ts.ReadFile("stdout"), ts.ReadFile(args[0])
	if re := strings.ReplaceAll(regexp.QuoteMeta(want), `\.\.\.`, ".*"); !regexp.MustCompile(`\A` + re + `\z`).MatchString(got) {
		ts.Fatalf("the log is\n%s\nwant, as in %s,\n%s", got, args[0], want)
	}
}

// toolchain VERSION puts a Go release first in PATH.
func cmdToolchain(ts *testscript.TestScript, args []string) {
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

// again [-absent] FILE builds the program in the working directory. If FILE exists, the program
// must be equal to it; otherwise it becomes FILE. With -absent, it is built without the
// buildpack, on the same build cache.
func cmdAgain(ts *testscript.TestScript, args []string) {
	var build []string
	if args[0] == "-absent" {
		build = []string{"-u", "GOFLAGS", "-u", "HMETRICS_STAGE", "-u", "HMETRICS_INJECT"}
		args = args[1:]
	}
	file, made := ts.MkAbs(args[0]), filepath.Join(ts.Getenv("WORK"), "again")
	if _, err := os.Stat(file); err != nil {
		made = file
	}
	// The go command leaves alone what is there and up to date.
	ts.Check(os.RemoveAll(made))
	ts.Check(ts.Exec("env", append(build, "go", "build", "-o", made, ".")...))
	if ts.ReadFile(made) != ts.ReadFile(file) {
		ts.Fatalf("what was built now is not what %s is", file)
	}
}

// release VERSION has GOPROXY=file://$WORK/proxy serve the buildpack as a module.
func cmdRelease(ts *testscript.TestScript, args []string) {
	ts.Check(proxy.Release(filepath.Join(ts.Getenv("WORK"), "proxy"), ts.Getenv("BUILDPACK"), args[0]))
}

// The line in a build's output that says that a program has the agent.
var confirmation = regexp.MustCompile(`hmetrics: agent v\S+ linked into \S+`)

// go ARG... runs the go command, which must succeed. The buildpack may only print which program
// has the agent.
func cmdGo(ts *testscript.TestScript, args []string) {
	ts.Check(ts.Exec("go", args...))
	for line := range strings.Lines(ts.ReadFile("stdout") + ts.ReadFile("stderr")) {
		if strings.Contains(line, "hmetrics: ") && !confirmation.MatchString(line) {
			ts.Fatalf("the build says %q", line)
		}
	}
}

// build [ARG...] builds the program in the working directory. The program must get the agent,
// the build must say so, and the program must work and report.
func cmdBuild(ts *testscript.TestScript, args []string) {
	if ts.Getenv("HMETRICS_STAGE") == "" {
		cmdBuildpack(ts, false, nil)
	}
	ts.Check(os.RemoveAll(ts.MkAbs("app"))) // or it might be left as it is
	cmdGo(ts, slices.Concat([]string{"build"}, args, []string{"-o", "app", "."}))
	if !confirmation.MatchString(ts.ReadFile("stdout") + ts.ReadFile("stderr")) {
		ts.Fatalf("the build does not say that the agent is linked")
	}
	cmdReports(ts, false, []string{"./app"})
}

// reports COMMAND [ARG...] runs a program, which must have the agent, work, and report to both
// destinations. With "!", it must lack the agent and work.
func cmdReports(ts *testscript.TestScript, neg bool, args []string) {
	if args[0] != "go" {
		cmdLinked(ts, neg, args[:1])
	}
	dyno := []string{"-exports", "1", "-prints", "works"}
	if neg {
		dyno = []string{"-n", "0", "-prints", "works"}
	}
	cmdDyno(ts, append(dyno, args...))
}

// public MODULE@VERSION PACKAGE [ARG...] builds a published program plain, then with the
// buildpack last, and then first. With the agent it must report to both destinations.
func cmdPublic(ts *testscript.TestScript, args []string) {
	app := ts.Getenv("APP")
	ts.Check(ts.Exec("go", "mod", "download", "-json", args[0]))
	var module struct{ Dir string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &module))
	ts.Check(os.RemoveAll(app))
	ts.Check(os.CopyFS(app, os.DirFS(module.Dir)))

	shared := ts.Getenv("CACHE_DIR")
	ts.Setenv("CACHE_DIR", filepath.Join(ts.Getenv("WORK"), "cache"))
	cmdConfig(ts, []string{"GO_INSTALL_PACKAGE_SPEC", args[1]})
	cmdHerokuGo(ts, false, nil)
	programs := try.E1(filepath.Glob(filepath.Join(app, "bin", "*")))
	if len(programs) != 1 {
		ts.Fatalf("%s is not one program: %q", args[1], programs)
	}
	program := programs[0]
	cmdLinked(ts, true, programs)
	cmdBuildpack(ts, false, nil)
	cmdLinked(ts, false, programs)
	cmdDyno(ts, slices.Concat([]string{"-exports", "1", program}, args[2:]))

	ts.Check(os.RemoveAll(filepath.Join(app, ".heroku")))
	ts.Setenv("CACHE_DIR", shared)
	cmdBuildpack(ts, false, nil)
	cmdGo(ts, []string{"build", "-o", program, args[1]})
	cmdLinked(ts, false, programs)
	cmdDyno(ts, slices.Concat([]string{"-exports", "1", program}, args[2:]))
}
