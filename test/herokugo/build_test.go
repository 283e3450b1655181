package herokugo

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

// TestHerokuGo builds each app in testdata, with the config vars and in the environment
// that stand beside it, and compares the log and files with those that are wanted.
//
// If HEROKU_BUILDPACK_GO names a checkout of github.com/heroku/heroku-buildpack-go, it
// does so with that too, and then with that and the buildpack here, in both orders: all
// programs have the agent then.
func TestHerokuGo(t *testing.T) {
	orders := map[string][]string{"stand-in": {absolute(t, "buildpack")}}
	if dir := os.Getenv("HEROKU_BUILDPACK_GO"); dir != "" {
		buildpack := t.TempDir()
		if err := machine.CopyBuildpack(buildpack, absolute(t, "../..")); err != nil {
			t.Fatal(err)
		}
		orders["heroku-go"], orders["first"], orders["last"] = []string{dir}, []string{buildpack, dir}, []string{dir, buildpack}
	}
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no apps in testdata: ", err)
	}
	out, err := exec.Command("go", "env", "GOROOT", "GOVERSION", "GOCACHE", "GOPROXY").Output()
	if err != nil {
		t.Fatal("go env: ", err)
	}
	env := strings.Fields(string(out))
	// A build cache that has the standard library the apps use.
	warm := t.TempDir()
	cmd := exec.Command("go", "build", "runtime")
	cmd.Env = append(os.Environ(), "GOFLAGS=-p=1", "GOCACHE="+warm)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("filling a build cache: %v\n%s", err, out)
	}
	for order, packs := range orders {
		for _, file := range files {
			t.Run(order+"/"+strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
				a := testApp{goroot: env[0], version: env[1], gocache: env[2], goproxy: env[3], warm: warm}
				a.compare(t, file, packs)
			})
		}
	}
}

type testApp struct {
	goroot, version, gocache, goproxy string
	warm                              string
}

// compare builds what an archive holds. Of several buildpacks' the log is not compared.
func (a testApp) compare(t *testing.T, file string, packs []string) {
	ar, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	root := absolute(t, t.TempDir())
	t.Cleanup(func() { RemoveAll(root) })
	expand := strings.NewReplacer("$GOVERSION", a.version, "$ROOT/", root+"/").Replace
	var stdout, stderr bytes.Buffer
	b := newBuild(t, root)
	b.Stdout, b.Stderr = &stdout, &stderr
	b.Environ = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + root, "LC_ALL=C", "STACK=heroku-24",
		"GOENV=off", "GOTOOLCHAIN=local", "GOPROXY=" + a.goproxy,
		"GOFLAGS=-p=1", // one order of building, so one log
	}
	gocache := a.fill(t, b, len(packs) > 1)
	want := map[string]string{}
	for _, f := range ar.Files {
		name, isWanted := strings.CutPrefix(f.Name, "want/")
		switch {
		case isWanted:
			want[name] = expand(string(f.Data))
		case f.Name == "environ" && len(packs) == 1: // heroku/go alone replaces what is in its way there
			b.Environ = append(b.Environ, strings.Split(strings.TrimSpace(string(f.Data)), "\n")...)
		default:
			writeFile(t, filepath.Join(root, f.Name), strings.ReplaceAll(string(f.Data), "$GOVERSION", a.version))
		}
	}
	if !strings.HasSuffix(packs[0], "herokugo/buildpack") {
		// The real one loses it where its "grep -q" ends before "go env" does.
		b.Environ = append(b.Environ, "GOCACHE="+gocache)
	}
	_, wantFailed := want["failed"]
	delete(want, "failed")
	if err := b.Run(context.Background(), packs...); (err != nil) != wantFailed {
		t.Errorf("the build failed: %v, want %t\n%s", err, wantFailed, &stderr)
	}
	if len(packs) > 1 {
		holdAgent(t, b.App, stdout.String())
		return
	}
	equal(t, "log", stdout.String(), "-----> Go app detected\n"+want["log"])
	delete(want, "log")
	for name, want := range want {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Error(err)
		}
		equal(t, name, string(got), want)
	}
}

// fill has the cache of a build hold Go, and a build cache: the machine's, or one that has
// little more than nothing.
func (a testApp) fill(t *testing.T, b *Build, shared bool) (gocache string) {
	err := b.InstallGo(a.goroot)
	if err != nil {
		t.Fatal(err)
	}
	gocache = filepath.Join(b.Cache, ".heroku/go/go-build-cache")
	if shared {
		err = os.Symlink(a.gocache, gocache)
	} else {
		err = os.CopyFS(gocache, os.DirFS(a.warm))
	}
	if err != nil {
		t.Fatal(err)
	}
	return gocache
}

func holdAgent(t *testing.T, app, log string) {
	files, err := filepath.Glob(filepath.Join(app, "bin", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if _, err := buildinfo.ReadFile(file); err != nil {
			continue // a hook
		}
		if content, err := os.ReadFile(file); err != nil || !bytes.Contains(content, []byte("hmetrics.injected/agent/internal/start")) {
			t.Errorf("%s does not have the agent (%v)\n%s", file, err, log)
		}
	}
}

// A buildpack hands on what its export file sets, and nothing that an earlier build left.
func TestRun(t *testing.T) {
	root := absolute(t, t.TempDir())
	show := `cd "$(dirname "$0")" && echo "$(basename "$0") $# arguments, app ${1##*/}, GOFLAGS <$GOFLAGS>, MULTI <$MULTI>"`
	for name, script := range map[string]string{
		"one/bin/detect": "echo One",
		"one/bin/compile": show + `
cat >../export <<'END'
echo "sourcing"
cd /
export GOFLAGS="$GOFLAGS -toolexec=/tool"
export MULTI="a
b"
local_only=1
END
`,
		"one/bin/release": "echo 'release' $# >&2; echo '--- {}'",
		"two/bin/detect":  "echo Two",
		"two/bin/compile": show,
		"two/export":      "export STALE=1",
	} {
		writeFile(t, filepath.Join(root, name), "#!/usr/bin/env bash\n"+script)
	}
	var log bytes.Buffer
	b := newBuild(t, root)
	b.Stdout, b.Stderr = &log, &log
	path := "PATH=" + os.Getenv("PATH")
	b.Environ = []string{path, "GOFLAGS=-first", "OLDPWD=/platform"}
	if err := b.Run(context.Background(), filepath.Join(root, "one"), filepath.Join(root, "two")); err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	equal(t, "log", log.String(), `-----> One app detected
compile 3 arguments, app app, GOFLAGS <-first>, MULTI <>
release 1
sourcing
-----> Two app detected
compile 3 arguments, app app, GOFLAGS <-first -toolexec=/tool>, MULTI <a
b>
`)
	for _, v := range b.Environ {
		switch v {
		case path, "GOFLAGS=-first -toolexec=/tool", "MULTI=a\nb", "OLDPWD=/platform":
		default:
			t.Errorf("the environment has %s", v)
		}
	}
}

// When the build is canceled, what the buildpack has started ends, too.
func TestCanceled(t *testing.T) {
	root := absolute(t, t.TempDir())
	fifo := filepath.Join(root, "fifo")
	if err := syscall.Mkfifo(fifo, 0o666); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(root, "bin/detect"), "#!/bin/sh\n")
	writeFile(t, filepath.Join(root, "bin/compile"), "#!/bin/sh\n"+`sleep 1000 & exec 3>"$FIFO"; echo >&3; wait`)
	b := newBuild(t, root)
	b.Environ, b.Stdout, b.Stderr = []string{"PATH=" + os.Getenv("PATH"), "FIFO=" + fifo}, t.Output(), t.Output()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error)
	go func() { ended <- b.Run(ctx, root) }()
	f, err := os.Open(fifo) // until bin/compile opens it, too
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got the error %v, want %v", err, context.Canceled)
	}
}

// Another release of Go empties heroku/go's part of the cache and leaves the other
// buildpacks' alone. Without a Go there is an error that names the GOROOT.
func TestInstallGo(t *testing.T) {
	root := absolute(t, t.TempDir())
	b := newBuild(t, root)
	at := func(name string) string { return filepath.Join(root, name) }
	writeFile(t, at("one/VERSION"), "go1.97.1\ntime 2026\n")
	writeFile(t, at("two/VERSION"), "go1.98.2\n")
	writeFile(t, at("cache/other/kept"), "")
	for _, step := range []struct {
		goroot, version string
		kept            bool // what was in heroku/go's part of the cache
	}{{"one", "go1.97.1", false}, {"one", "go1.97.1", true}, {"two", "go1.98.2", false}} {
		if err := b.InstallGo(at(step.goroot)); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]bool{
			".heroku/go/go-path": step.kept, "other/kept": true, ".heroku/go/" + step.version + "/go/VERSION": true,
		} {
			if _, err := os.Stat(at("cache/" + name)); (err == nil) != want {
				t.Errorf("after %s, %s: %v", step.version, name, err)
			}
		}
		writeFile(t, at("cache/.heroku/go/go-path/pkg/mod/m@v1/file"), "")
		if err := os.Chmod(at("cache/.heroku/go/go-path/pkg/mod/m@v1"), 0o555); err != nil { // as a module cache is
			t.Fatal(err)
		}
	}
	if err := b.InstallGo(at("nowhere")); err == nil || !strings.Contains(err.Error(), at("nowhere")) {
		t.Errorf("got the error %v, want one that names the GOROOT", err)
	}
}

func newBuild(t *testing.T, root string) *Build {
	t.Helper()
	b := &Build{App: filepath.Join(root, "app"), Cache: filepath.Join(root, "cache"), Env: filepath.Join(root, "env")}
	for _, dir := range []string{b.App, b.Cache, b.Env} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

func absolute(t *testing.T, dir string) string {
	t.Helper()
	dir, err := filepath.Abs(dir)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o777); err != nil {
		t.Fatal(err)
	}
}

func equal(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s is\n%s\nwant\n%s", what, got, want)
	}
}
