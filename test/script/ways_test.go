package script

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestWays builds an app in each of the many ways to build Go. Each section of an
// archive in ways is one: a scenario that begins in the directory of the app plain.
// A section with a path is a file of an app.
func TestWays(t *testing.T) {
	if os.Getenv("HMETRICS_TEST_SLOW") != "1" {
		t.Skip("HMETRICS_TEST_SLOW=1 lets it build an app in a hundred ways")
	}
	files, err := filepath.Glob("ways/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no archives in ways: ", err)
	}
	dir := t.TempDir()
	apps, profile := filepath.Join(dir, "apps"), filepath.Join(dir, "cpu.pprof")
	if err := writeProfile(profile); err != nil {
		t.Fatal(err)
	}
	p := params(t)
	for name, cmd := range faultCmds {
		p.Cmds[name] = cmd
	}
	p.Cmds["go"], p.Cmds["build"], p.Cmds["both"], p.Cmds["reports"] = cmdGo, cmdBuild, cmdBoth, cmdReports
	setup := p.Setup
	p.Setup = func(env *testscript.Env) error {
		if err := setup(env); err != nil {
			return err
		}
		env.Setenv("APPS", apps)
		env.Setenv("PROFILE", profile)
		env.Setenv("CACHE_DIR", env.Getenv("SHARED_CACHE"))
		env.Cd = env.Getenv("APP")
		return os.CopyFS(env.Cd, os.DirFS(filepath.Join(apps, "plain")))
	}
	if err := unpackWays(dir, files); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tiny", "versions"} {
		if err := os.CopyFS(filepath.Join(apps, name), os.DirFS("../apps/"+name)); err != nil {
			t.Fatal(err)
		}
	}
	categories, err := filepath.Glob(filepath.Join(dir, "ways", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, category := range categories {
		t.Run(filepath.Base(category), func(t *testing.T) {
			if filepath.Base(category) == "releases" && os.Getenv("HMETRICS_TEST_TOOLCHAINS") != "1" {
				t.Skip("HMETRICS_TEST_TOOLCHAINS=1 lets it fetch other Go releases")
			}
			q := p
			q.Dir = category
			testscript.Run(t, q)
		})
	}
}

// unpackWays writes the sections of archives to dir: to ways/CATEGORY, or below apps.
func unpackWays(dir string, files []string) error {
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			return err
		}
		category := strings.TrimSuffix(filepath.Base(file), ".txtar")
		for _, f := range archive.Files {
			to := filepath.Join(dir, "apps", f.Name)
			if !strings.Contains(f.Name, "/") {
				to = filepath.Join(dir, "ways", category, f.Name+".txt")
			}
			if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
				return err
			}
			if err := os.WriteFile(to, f.Data, 0o666); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeProfile writes a CPU profile in which functions of the standard library are
// hot. All ways use the same, so that what is compiled with it is cached.
func writeProfile(name string) error {
	var b bytes.Buffer
	if err := pprof.StartCPUProfile(&b); err != nil {
		return err
	}
	list := make([]string, 1000)
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		for i := range list {
			list[i] = strings.Repeat(string(rune('a'+i*7919%26)), 1+i%7)
		}
		sort.Strings(list)
	}
	pprof.StopCPUProfile()
	return os.WriteFile(name, b.Bytes(), 0o666)
}

// A line of the buildpack's in a build's output, and one that says that a program
// has the agent.
var (
	ofBuildpack  = regexp.MustCompile(`(?m)^.*hmetrics: .*$`)
	confirmation = regexp.MustCompile(`hmetrics: agent v\S+ linked into \S+`)
)

// go ARG... runs the go command, which must succeed, and of the buildpack's say only
// which program has the agent.
func cmdGo(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: go ARG...")
	}
	ts.Check(ts.Exec("go", args...))
	for _, line := range ofBuildpack.FindAllString(ts.ReadFile("stdout")+ts.ReadFile("stderr"), -1) {
		if !confirmation.MatchString(line) {
			ts.Fatalf("the build says %q", line)
		}
	}
}

// build [ARG...] builds the program in the working directory, which must get the
// agent, say so, work and report.
func cmdBuild(ts *testscript.TestScript, neg bool, args []string) {
	if ts.Getenv("HMETRICS_STAGE") == "" {
		cmdBuildpack(ts, false, nil)
	}
	ts.Check(os.RemoveAll(ts.MkAbs("app"))) // or it might be left as it is
	cmdGo(ts, neg, append(append([]string{"build"}, args...), "-o", "app", "."))
	if !confirmation.MatchString(ts.ReadFile("stdout") + ts.ReadFile("stderr")) {
		ts.Fatalf("the build does not say that the agent is linked")
	}
	cmdReports(ts, false, []string{"./app"})
}

// both ARG... builds with these flags on the command line, and then with the same in
// GOFLAGS.
func cmdBoth(ts *testscript.TestScript, neg bool, args []string) {
	cmdBuild(ts, neg, args)
	var goflags []string
	for _, arg := range args {
		if strings.Contains(arg, " ") {
			arg = "'" + arg + "'"
		}
		goflags = append(goflags, arg)
	}
	before := ts.Getenv("SCENARIO_GOFLAGS")
	ts.Setenv("GOFLAGS", strings.Join(goflags, " "))
	cmdBuildpack(ts, false, nil)
	cmdBuild(ts, false, nil)
	ts.Setenv("GOFLAGS", before)
	cmdBuildpack(ts, false, nil)
}

// reports COMMAND [ARG...] runs a program, which must have the agent, work and send a
// report to both destinations. With "!" it has no agent, and works.
func cmdReports(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: [!] reports COMMAND [ARG...]")
	}
	if args[0] != "go" {
		cmdLinked(ts, neg, args[:1])
	}
	dyno := []string{"-exports", "1", "-prints", "works"}
	if neg {
		dyno = []string{"-n", "0", "-prints", "works"}
	}
	cmdDyno(ts, false, append(dyno, args...))
}
