package cnb

import (
	"bytes"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dsnet/try"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts runs the scenarios here. In their directories are those of a build
// container, with the buildpack as bin/package makes it.
func TestScripts(t *testing.T) {
	root := try.E1(filepath.Abs("../.."))
	env := try.E1(exec.Command("go", "env", "GOROOT", "GOPROXY").Output())
	goroot, goproxy, _ := strings.Cut(strings.TrimSpace(string(env)), "\n")
	packed, unpacked := filepath.Join(t.TempDir(), "package.tgz"), t.TempDir()
	pack := exec.Command("sh", "-c", `../../bin/package "$0" && tar xzf "$0" -C "$1"`, packed, unpacked)
	pack.Env = append(os.Environ(), "GOPROXY="+goproxy)
	if out, err := pack.CombinedOutput(); err != nil {
		t.Fatalf("bin/package: %v\n%s", err, out)
	}
	// All that a build container has of this machine.
	t.Setenv("HOME", t.TempDir())
	t.Setenv("PATH", "/usr/bin:/bin")
	testscript.RunT(serial{t}, testscript.Params{
		Dir: ".",
		Setup: func(env *testscript.Env) (err error) {
			defer try.Handle(&err)
			p := Platform{Dir: env.WorkDir}
			env.Defer(func() { removeAll(p.Path("layers")) }) // it has write-protected modules
			env.Setenv("ROOT", root)
			env.Setenv("GOROOT", goroot)
			p.Add(unpacked)
			return os.WriteFile(filepath.Join(p.Add("testdata/go"), "goroot"), []byte(goroot), 0o666)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"build": cmdBuild, "config": cmdConfig, "detect": cmdDetect, "linked": cmdLinked,
		},
	})
}

// serial is a testscript.T whose scenarios run one after another, as the lifecycle reads
// the environment of the process.
type serial struct{ *testing.T }

func (serial) Parallel()     {}
func (serial) Verbose() bool { return testing.Verbose() }
func (s serial) Run(name string, f func(testscript.T)) {
	s.T.Run(name, func(t *testing.T) { f(serial{t}) })
}

// build [-last] [-api VERSION] [-restored SCRIPT] builds the app in workspace, with the
// buildpack before heroku/go or after it. The script runs when the cache has been restored.
func cmdBuild(ts *testscript.TestScript, neg bool, args []string) {
	flags := flag.NewFlagSet("build", flag.PanicOnError)
	last, api, script := flags.Bool("last", false, ""), flags.String("api", "0.14", ""), flags.String("restored", "", "")
	ts.Check(flags.Parse(args))
	order := []string{"hmetrics/go-metrics", "heroku/go"} // testdata/go keeps the contract of the latter
	if *last {
		slices.Reverse(order)
	}
	p := Platform{Dir: ts.Getenv("WORK"), API: *api}
	restored := func() error {
		if *script == "" {
			return nil
		}
		return ts.Exec("sh", "-e", *script)
	}
	logged(ts, neg, func(log io.Writer) error { return p.Build(log, restored, order...) })
}

// detect has the buildpack look at workspace.
func cmdDetect(ts *testscript.TestScript, neg bool, args []string) {
	p := Platform{Dir: ts.Getenv("WORK"), API: "0.14"}
	logged(ts, neg, func(log io.Writer) error { return p.Detect(log, "hmetrics/go-metrics") })
}

// logged makes the log of run, without colours, the scenario's stdout.
func logged(ts *testscript.TestScript, neg bool, run func(io.Writer) error) {
	var log bytes.Buffer
	err := run(&log)
	ts.Stdout().Write(regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAll(log.Bytes(), nil))
	if (err == nil) == neg {
		ts.Fatalf("%v\n%s", err, &log)
	}
}

// config NAME [VALUE] sets a config var, or unsets it.
func cmdConfig(ts *testscript.TestScript, neg bool, args []string) {
	file := ts.MkAbs(filepath.Join("platform", "env", args[0]))
	if len(args) == 1 {
		ts.Check(os.Remove(file))
		return
	}
	ts.Check(os.MkdirAll(filepath.Dir(file), 0o777))
	ts.Check(os.WriteFile(file, []byte(args[1]), 0o666))
}

// linked PROGRAM... looks for the agent in programs.
func cmdLinked(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		program := filepath.Join("layers", "heroku_go", "go_target", "bin", name)
		if has := strings.Contains(ts.ReadFile(program), "hmetrics.injected/agent/internal/start"); has == neg {
			ts.Fatalf("%s has the agent: %t", name, has)
		}
	}
}
