package herokugo

import (
	"bytes"
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dsnet/try"
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
	orders := map[string][]string{"stand-in": {try.E1(filepath.Abs("buildpack"))}}
	if heroku := os.Getenv("HEROKU_BUILDPACK_GO"); heroku != "" {
		ours := t.TempDir()
		try.E(machine.CopyBuildpack(ours, try.E1(filepath.Abs("../.."))))
		orders["heroku-go"], orders["first"], orders["last"] = []string{heroku}, []string{ours, heroku}, []string{heroku, ours}
	}
	// A build cache that has the standard library the apps use.
	warm := t.TempDir()
	fill := exec.Command("go", "build", "runtime")
	fill.Env = append(os.Environ(), "GOFLAGS=-p=1", "GOCACHE="+warm)
	try.E(fill.Run())
	for order, packs := range orders {
		for _, file := range try.E1(filepath.Glob("testdata/*.txtar")) {
			t.Run(order+"/"+strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) { compare(t, file, warm, packs) })
		}
	}
}

// compare builds what an archive holds. What several buildpacks leave is not compared.
func compare(t *testing.T, file, warm string, packs []string) {
	env := strings.Fields(string(try.E1(exec.Command("go", "env", "GOROOT", "GOVERSION", "GOCACHE", "GOPROXY").Output())))
	root := try.E1(filepath.EvalSymlinks(t.TempDir()))
	t.Cleanup(func() { RemoveAll(root) })
	var log, stderr bytes.Buffer
	b := &Build{App: filepath.Join(root, "app"), Cache: filepath.Join(root, "cache"), Env: filepath.Join(root, "env"), Stdout: &log, Stderr: &stderr}
	b.Environ = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + root, "LC_ALL=C", "STACK=heroku-24", "GOENV=off", "GOTOOLCHAIN=local",
		"GOPROXY=" + env[3], "GOFLAGS=-p=1"} // one order of building, so one log
	try.E(os.MkdirAll(b.Env, 0o777))
	try.E(b.InstallGo(env[0]))
	gocache := filepath.Join(b.Cache, ".heroku/go/go-build-cache")
	if len(packs) > 1 {
		try.E(os.Symlink(env[2], gocache))
	} else {
		try.E(os.CopyFS(gocache, os.DirFS(warm)))
	}
	archive := try.E1(txtar.ParseFile(file))
	expand := strings.NewReplacer("$GOVERSION", env[1], "$ROOT/", root+"/").Replace
	var files txtar.Archive
	want := map[string]string{}
	for _, f := range archive.Files {
		name, isWanted := strings.CutPrefix(f.Name, "want/")
		switch {
		case isWanted:
			want[name] = expand(string(f.Data))
		case f.Name == "environ" && len(packs) == 1: // heroku/go alone replaces what is in its way there
			b.Environ = append(b.Environ, strings.Split(strings.TrimSpace(string(f.Data)), "\n")...)
		default:
			files.Files = append(files.Files, txtar.File{Name: f.Name, Data: []byte(strings.ReplaceAll(string(f.Data), "$GOVERSION", env[1]))})
		}
	}
	try.E(txtar.Write(&files, root))
	if !strings.HasSuffix(packs[0], "herokugo/buildpack") {
		// The real one loses it where its "grep -q" ends before "go env" does.
		b.Environ = append(b.Environ, "GOCACHE="+gocache)
	}
	if err := b.Run(t.Context(), packs...); err != nil {
		t.Fatalf("the build failed: %v\n%s\n%s", err, &log, &stderr)
	}
	for _, program := range try.E1(filepath.Glob(filepath.Join(b.App, "bin", "*"))) {
		_, err := buildinfo.ReadFile(program)
		has := bytes.Contains(try.E1(os.ReadFile(program)), []byte("hmetrics.injected/agent/internal/start"))
		if hook := err != nil; !hook && has != (len(packs) > 1) {
			t.Errorf("%s has the agent: %v\n%s", program, has, &log)
		}
	}
	if len(packs) > 1 {
		return
	}
	try.E(os.WriteFile(filepath.Join(root, "log"), bytes.TrimPrefix(log.Bytes(), []byte("-----> Go app detected\n")), 0o666))
	for name, want := range want {
		if got := string(try.E1(os.ReadFile(filepath.Join(root, name)))); got != want {
			t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
		}
	}
}
