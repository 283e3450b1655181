package herokugo

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestGo builds each app in testdata, with the config vars and in the environment
// that stand beside it, and compares the log and files with those that are wanted.
//
// If HEROKU_BUILDPACK_GO names a checkout of github.com/heroku/heroku-buildpack-go, it
// does so with the real one too, and then with that and the buildpack here, in both
// orders: all programs have the agent then.
func TestGo(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no apps in testdata: ", err)
	}
	p := newPlatform(t)
	type order struct {
		name  string
		packs []Buildpack
	}
	orders := []order{{"Go", []Buildpack{&Go{Root: p.goroot}}}}
	if dir := os.Getenv("HEROKU_BUILDPACK_GO"); dir != "" {
		root, err := filepath.Abs("../..")
		if err != nil {
			t.Fatal(err)
		}
		tmp := t.TempDir()
		ours, theirs := &Dir{Path: root, Tmp: tmp}, &Dir{Path: dir, Tmp: tmp}
		orders = append(orders, order{"heroku-go", []Buildpack{theirs}}, order{"first", []Buildpack{ours, theirs}}, order{"last", []Buildpack{theirs, ours}})
	}
	for _, order := range orders {
		for _, file := range files {
			t.Run(order.name+"/"+strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { p.compare(t, file, order.packs) })
		}
	}
}

// A testPlatform is where builds take place, one after another.
type testPlatform struct {
	root    string // holds app, cache, env, home
	goroot  string
	version string
	gocache string
	goproxy string
	warm    string // a build cache that has the standard library the apps use
}

func newPlatform(t *testing.T) testPlatform {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT", "GOCACHE", "GOPROXY").Output()
	if err != nil {
		t.Fatal("go env: ", err)
	}
	dir := resolved(t, t.TempDir())
	p := testPlatform{root: filepath.Join(dir, "build"), warm: filepath.Join(dir, "warm")}
	env := strings.Fields(string(out))
	p.goroot, p.gocache, p.goproxy = env[0], env[1], env[2]
	if p.version, err = goVersion(p.goroot); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "build", "runtime")
	cmd.Env = append(p.environ(), "GOCACHE="+p.warm, "GOPATH="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("filling a build cache: %v\n%s", err, out)
	}
	return p
}

// environ returns the environment of a build dyno.
func (p testPlatform) environ() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(p.root, "home"), "LC_ALL=C", "STACK=heroku-24",
		"GOENV=off", "GOTOOLCHAIN=local", "GOPROXY=" + p.goproxy,
		"GOFLAGS=-p=1", // one order of building, so one log
	}
}

// expand replaces what differs between machines.
func (p testPlatform) expand(b []byte) string {
	return strings.NewReplacer("$GOVERSION", p.version, "$ROOT/", p.root+"/").Replace(string(b))
}

// compare builds what an archive holds, with nothing left of the build before. If one
// of several buildpacks is the one here, the log is not compared.
func (p testPlatform) compare(t *testing.T, file string, packs []Buildpack) {
	ar, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := RemoveAll(p.root); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	b := p.layOut(t, len(packs) > 1)
	b.Stdout, b.Stderr = &stdout, &stderr
	var wantLog string
	wantFailed := false
	for _, f := range ar.Files {
		switch f.Name {
		case "environ":
			if len(packs) == 1 { // heroku/go alone replaces what is in its way there
				b.Environ = append(b.Environ, strings.Fields(string(f.Data))...)
			}
		case "want/log":
			wantLog = p.expand(f.Data)
		case "want/failed":
			wantFailed = true
		}
		if strings.HasPrefix(f.Name, "app/") || strings.HasPrefix(f.Name, "env/") {
			writeFile(t, filepath.Join(p.root, f.Name), strings.ReplaceAll(string(f.Data), "$GOVERSION", p.version))
		}
	}
	if _, ok := packs[0].(*Go); !ok {
		// The real one loses its own where its "grep -q" ends before "go env" does.
		b.Environ = append(b.Environ, "GOCACHE="+filepath.Join(b.Cache, goBuildCache))
	}
	if err := b.Run(context.Background(), packs...); (err != nil) != wantFailed {
		t.Errorf("the build failed: %v, want %t\n%s", err, wantFailed, &stderr)
	}
	if len(packs) > 1 {
		holdAgent(t, filepath.Join(b.App, "bin"), stdout.String())
		return
	}
	diff(t, "log", stdout.String(), "-----> Go app detected\n"+wantLog)
	for _, f := range ar.Files {
		if name := strings.TrimPrefix(f.Name, "want/app/"); name != f.Name {
			got, err := os.ReadFile(filepath.Join(b.App, name))
			if err != nil {
				t.Error(err)
			}
			diff(t, name, string(got), p.expand(f.Data))
		}
	}
}

const goBuildCache = ".heroku/go/go-build-cache"

// layOut returns a build, whose directories are empty but for a cache in which the real
// heroku/go finds its Go, so that it downloads nothing. Its build cache is that of this
// machine, or has little more than nothing.
func (p testPlatform) layOut(t *testing.T, shared bool) *Build {
	b := &Build{App: filepath.Join(p.root, "app"), Cache: filepath.Join(p.root, "cache"), Env: filepath.Join(p.root, "env"), Environ: p.environ()}
	unpacked := filepath.Join(b.Cache, ".heroku", "go", p.version, "go")
	for _, dir := range []string{b.App, b.Env, filepath.Join(p.root, "home"), filepath.Dir(unpacked)} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(p.goroot, unpacked); err != nil {
		t.Fatal(err)
	}
	var err error
	if gocache := filepath.Join(b.Cache, goBuildCache); shared {
		err = os.Symlink(p.gocache, gocache)
	} else {
		err = os.CopyFS(gocache, os.DirFS(p.warm))
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func holdAgent(t *testing.T, bin, log string) {
	files, err := filepath.Glob(filepath.Join(bin, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if _, err := buildinfo.ReadFile(file); err != nil {
			continue // a hook
		}
		if content, err := os.ReadFile(file); err != nil || !bytes.Contains(content, []byte("hmetrics.injected/agent/onload")) {
			t.Errorf("%s does not have the agent (%v)\n%s", file, err, log)
		}
	}
}

func diff(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s is\n%s\nwant\n%s", what, got, want)
	}
}

func resolved(t *testing.T, dir string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(dir)
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

// A change of the Go release empties heroku/go's part of the cache and leaves the
// other buildpacks' alone. Without a Go there is an error that names the GOROOT.
func TestGoRelease(t *testing.T) {
	dir := resolved(t, t.TempDir())
	at := func(name string) string { return filepath.Join(dir, name) }
	// A Go that does nothing, since only the cache is of interest.
	for _, v := range []string{"go1.97.1", "go1.98.2"} {
		writeFile(t, at(v+"/VERSION"), v+"\n")
		writeFile(t, at(v+"/bin/go"), "#!/bin/sh\n")
	}
	writeFile(t, at("app/go.mod"), "module m\n\ngo 1.97\n")
	writeFile(t, at("cache/other/kept"), "")
	compile := func(version string) (string, error) {
		var log bytes.Buffer
		b := &Build{App: at("app"), Cache: at("cache"), Env: at("env"), Stdout: &log, Stderr: &log}
		b.Environ = []string{"PATH=" + os.Getenv("PATH")}
		err := (&Go{Root: at(version)}).Compile(context.Background(), b)
		return log.String(), err
	}
	for _, tt := range []struct {
		version, log string
		kept         bool // what was in heroku/go's part of the cache
	}{
		{"go1.97.1", "-----> Installing go1.97.1\n", false},
		{"go1.97.1", "-----> Using go1.97.1\n", true},
		{"go1.98.2", "-----> New Go Version, clearing old cache\n-----> Installing go1.98.2\n       The app asks for go1.97; ", false},
	} {
		log, err := compile(tt.version)
		if err != nil || !strings.Contains(log, tt.log) {
			t.Errorf("the build with %s: %v, and the log is\n%s", tt.version, err, log)
		}
		if isDir(at("cache/.heroku/go/go-path")) != tt.kept || !isDir(at("cache/other")) || !isDir(at("cache/.heroku/go/"+tt.version)) {
			t.Errorf("the build with %s left the wrong part of the cache", tt.version)
		}
		writeFile(t, at("cache/.heroku/go/go-path/pkg/mod/m@v1/file"), "")
		if err := os.Chmod(at("cache/.heroku/go/go-path/pkg/mod/m@v1"), 0o555); err != nil {
			t.Fatal(err)
		}
		os.Chmod(at("cache/.heroku/go/go-path/pkg/mod/m@v1/file"), 0o444)
	}
	if _, err := compile("nowhere"); err == nil || !strings.Contains(err.Error(), at("nowhere")) {
		t.Errorf("got the error %v, want one that names the GOROOT", err)
	}
}
