//go:build linux

// Package script has the scenarios: one behavior of the buildpack each, in the format of
// testscript. A scenario runs the real scripts, go commands and programs.
//
// Its directories are those of a platform: $BUILDPACK is a copy of this repository's
// buildpack, $APP has an app's sources, and $CACHE_DIR and $ENV_DIR are the arguments of
// bin/compile. A scenario that is not about $CACHE_DIR sets it to $SHARED_CACHE, where the
// agent is already compiled. $USER_GOFLAGS is GOFLAGS before bin/compile.
package script

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/dsnet/try"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

// shared is a directory that all scenarios share.
var shared string

func TestMain(m *testing.M) {
	// A scenario waits for reports, too, and leaves the processors to another one.
	flag.Parse()
	flag.Set("test.parallel", strconv.Itoa(runtime.GOMAXPROCS(0)+1))
	shared = try.E1(os.MkdirTemp("", "script"))
	code := m.Run()
	herokugo.RemoveAll(shared)
	os.Exit(code)
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, params(t, "."))
}

// TestWays builds an app in many ways. Each section of an archive in ways is a scenario that
// begins in the directory of the app plain. A section whose name is a path is a file of an app.
func TestWays(t *testing.T) {
	if os.Getenv("HMETRICS_TEST_SLOW") != "1" {
		t.Skip("HMETRICS_TEST_SLOW=1 lets it build an app in a hundred ways")
	}
	files, err := filepath.Glob("ways/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no archives in ways: ", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			if strings.HasSuffix(t.Name(), "/releases") && os.Getenv("HMETRICS_TEST_TOOLCHAINS") != "1" {
				t.Skip("HMETRICS_TEST_TOOLCHAINS=1 lets it fetch other Go releases")
			}
			if strings.HasSuffix(t.Name(), "/public") && os.Getenv("HMETRICS_TEST_EXTRA") != "1" {
				t.Skip("HMETRICS_TEST_EXTRA=1 lets it fetch and build published programs")
			}
			p := params(t, t.TempDir())
			unpack(file, filepath.Join(shared, "apps"), p.Dir)
			setup := p.Setup
			p.Setup = func(env *testscript.Env) error {
				err := setup(env)
				env.Setenv("CACHE_DIR", env.Getenv("SHARED_CACHE"))
				env.Cd = env.Getenv("APP")
				return errors.Join(err, os.CopyFS(env.Cd, os.DirFS(filepath.Join(shared, "apps", "plain"))))
			}
			testscript.Run(t, p)
		})
	}
}

// unpack writes the files of apps in an archive to apps, and its other sections to scripts.
func unpack(archive, apps, scripts string) {
	var files, sections txtar.Archive
	for _, f := range try.E1(txtar.ParseFile(archive)).Files {
		if strings.Contains(f.Name, "/") {
			files.Files = append(files.Files, f)
		} else {
			sections.Files = append(sections.Files, txtar.File{Name: f.Name + ".txtar", Data: f.Data})
		}
	}
	try.E(errors.Join(txtar.Write(&files, apps), txtar.Write(&sections, scripts)))
}

// environment returns the variables that all scenarios share. Before the first scenario starts,
// it compiles what nearly all of them link, with cgo and without.
var environment = sync.OnceValue(func() []string {
	apps, cache := filepath.Join(shared, "apps"), filepath.Join(shared, "cache")
	unpack("testdata/apps.txtar", apps, shared)
	for _, name := range []string{"reports", "tiny", "versions"} {
		try.E(os.CopyFS(filepath.Join(apps, name), os.DirFS("../apps/"+name)))
	}
	// They share the caches of the go command that runs the tests.
	env, values := try.E2(machine.Environ(context.Background(), "GOCACHE"))
	env = append(env, "GOROOT="+values[0], "GOCACHE="+values[1], "APPS="+apps, "SHARED_CACHE="+cache, "HMETRICS_INTERVAL=1s")
	buildpack := filepath.Join(shared, "buildpack")
	try.E(copyBuildpack(buildpack))
	for _, app := range []string{"plain", "tiny"} {
		const build = `"$0/bin/compile" . "$SHARED_CACHE" && . "$0/export" && go build -o /dev/null .`
		cmd := exec.Command("bash", "-c", build, buildpack)
		cmd.Env, cmd.Dir = append(env, "HOME="+shared), filepath.Join(apps, app)
		if out, err := cmd.CombinedOutput(); err != nil {
			try.E(fmt.Errorf("building the app %s: %w\n%s", app, err, out))
		}
	}
	return env
})

// copyBuildpack copies the buildpack of this checkout. go test repeats a cached test if a file
// changes that the test opened below its module. This name is not cleaned, so that applies to
// the whole checkout.
func copyBuildpack(dir string) error {
	return machine.CopyBuildpack(dir, try.E1(filepath.Abs(".."))+"/..")
}

// params are the parameters of all scenarios.
func params(t *testing.T, dir string) testscript.Params {
	common := environment()
	return testscript.Params{
		Dir: dir,
		Setup: func(env *testscript.Env) error {
			work := env.WorkDir
			env.Vars = append(env.Vars, common...)
			env.Vars = append(env.Vars, "BUILDPACK="+work+"/buildpack", "APP="+work+"/app", "CACHE_DIR="+work+"/cache",
				"ENV_DIR="+work+"/env", "GOBIN="+work+"/bin")
			env.Defer(func() { unmountBelow(work) })
			return copyBuildpack(work + "/buildpack")
		},
		Condition: condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"again":     always(cmdAgain),
			"app":       always(cmdApp),
			"build":     always(cmdBuild),
			"buildpack": cmdBuildpack,
			"config":    always(cmdConfig),
			"dyno":      always(cmdDyno),
			"go":        always(cmdGo),
			"heroku-go": cmdHerokuGo,
			"linked":    cmdLinked,
			"log":       always(cmdLog),
			"public":    always(cmdPublic),
			"release":   always(cmdRelease),
			"reports":   cmdReports,
			"toolchain": always(cmdToolchain),
		},
	}
}

// always turns a function into a command that cannot be negated.
func always(cmd func(*testscript.TestScript, []string)) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg {
			ts.Fatalf("this command takes no !")
		}
		cmd(ts, args)
	}
}

// unmountBelow unmounts what a scenario mounted: at once, even if a killed process still uses
// it.
func unmountBelow(dir string) {
	mounts, _ := os.ReadFile("/proc/self/mounts")
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); strings.HasPrefix(f[1], dir+"/") {
			syscall.Unmount(f[1], syscall.MNT_DETACH)
		}
	}
}

// condition evaluates the conditions of scenarios on the machine, and on the variables that
// enable slow scenarios.
func condition(cond string) (bool, error) {
	script := ""
	switch cond {
	case "toolchains", "slow", "extra":
		return os.Getenv("HMETRICS_TEST_"+strings.ToUpper(cond)) == "1", nil
	case "mount": // whether this test may mount file systems
		script = "unshare --mount true"
	case "binfmt": // whether a process can have an emulator of its own, from Linux 6.7 on
		script = "unshare --user --map-root-user --mount mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc"
	case "asan":
		script = "echo 'int main(){return 0;}' | gcc -fsanitize=address -x c -o /dev/null -"
	default:
		return false, fmt.Errorf("unknown condition %s", cond)
	}
	return exec.Command("sh", "-c", script).Run() == nil, nil
}
