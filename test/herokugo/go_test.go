package herokugo

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// Each file in testdata is an app, the config vars and environment of its build,
// and what is wanted: every go command, the whole log, files of the app.

// TestGo builds each of them with Go.
func TestGo(t *testing.T) {
	l := newLab(t)
	for _, file := range scenarios(t) {
		file := file
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			ar, got := l.build(t, file, compileOurs)

			if failed := section(ar, "want/failed") != nil; got.failed != failed {
				t.Errorf("the build failed: %t, want %t\n%s", got.failed, failed, got.stderr)
			}
			var calls strings.Builder
			for _, c := range got.calls {
				fmt.Fprintln(&calls, "go", strings.Join(c.args, " "))
			}
			diff(t, "go commands", calls.String(), l.expand(section(ar, "want/calls")))
			diff(t, "log", got.stdout, l.expand(section(ar, "want/log")))
			for _, f := range ar.Files {
				if name := strings.TrimPrefix(f.Name, "want/app/"); name != f.Name {
					b, err := os.ReadFile(filepath.Join(l.root, "app", name))
					if err != nil {
						t.Error(err)
					}
					want := string(f.Data)
					if name == "pre.txt" {
						want = l.expand(f.Data)
					}
					diff(t, name, string(b), want)
				}
			}
		})
	}
}

// TestSameAsHerokuGo builds each of them twice in the same place, with Go and
// with the real buildpack, and compares every go command with its environment,
// the log, and every file and its content that is there in the end.
//
// Not compared are the words of warnings, the real one's build-data in CACHE_DIR,
// the content of the go command's build cache, and the variables that bash sets.
func TestSameAsHerokuGo(t *testing.T) {
	dir := os.Getenv("HEROKU_BUILDPACK_GO")
	if dir == "" {
		t.Skip("HEROKU_BUILDPACK_GO does not name a checkout of github.com/heroku/heroku-buildpack-go")
	}
	for _, tool := range []string{"bash", "curl", "dpkg", "git", "jq", "shasum", "tar"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatal("the real buildpack needs a program that is missing here: ", err)
		}
	}
	compileReal := func(ctx context.Context, b *Build, goroot, version string) error {
		// Laid out so that it finds its Go and downloads nothing.
		unpacked := filepath.Join(b.Cache, ".heroku", "go", version, "go")
		if err := os.MkdirAll(filepath.Dir(unpacked), 0o777); err != nil {
			return err
		}
		if err := os.Symlink(goroot, unpacked); err != nil {
			return err
		}
		cmd := exec.Command(filepath.Join(dir, "bin", "compile"), b.App, b.Cache, b.Env)
		cmd.Dir = "/"
		cmd.Env, cmd.Stdout, cmd.Stderr = b.Environ, b.Stdout, b.Stderr
		return RunGroup(ctx, cmd)
	}
	l := newLab(t)
	for _, file := range scenarios(t) {
		file := file
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			_, real := l.build(t, file, compileReal)
			_, ours := l.build(t, file, compileOurs)

			if real.failed != ours.failed {
				t.Errorf("failed: real %t, ours %t", real.failed, ours.failed)
			}
			diff(t, "log", ours.stdout, real.stdout)
			diff(t, "standard error but for warnings", withoutRemarks(ours.stderr), withoutRemarks(real.stderr))
			diff(t, "go commands and environments", dump(ours.calls), dump(real.calls))
			diff(t, "files", strings.Join(ours.files, "\n"), strings.Join(real.files, "\n"))
			t.Logf("compared %d go commands, %d files and links, %d bytes of log", len(real.calls), len(real.files), len(real.stdout))
		})
	}
}

func scenarios(t *testing.T) []string {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no scenarios in testdata: ", err)
	}
	return files
}

// A lab is where builds take place. All have the same paths, one after another,
// so that their results can be compared byte by byte.
type lab struct {
	root    string // holds app, cache, env, home
	goroot  string // a GOROOT whose go command records its calls
	calls   string // the file that it records them in
	warm    string // a build cache that has the standard library the apps use
	version string
}

func newLab(t *testing.T) *lab {
	t.Helper()
	real, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal("finding GOROOT: ", err)
	}
	goroot := strings.TrimSpace(string(real))
	dir := resolved(t, t.TempDir())
	l := &lab{
		root:   filepath.Join(dir, "build"),
		goroot: filepath.Join(dir, "goroot"),
		calls:  filepath.Join(dir, "calls"),
		warm:   filepath.Join(dir, "warm"),
	}
	if l.version, err = goVersion(goroot); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(goroot)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(l.goroot, "bin"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "bin" {
			if err := os.Symlink(filepath.Join(goroot, e.Name()), filepath.Join(l.goroot, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
	// The real buildpack pipes "go env" into "grep -q" under pipefail, so that
	// it loses its GOCACHE whenever grep goes before go has written its last
	// line. One write makes that impossible.
	script := fmt.Sprintf(`#!/bin/sh
{ printf '%%s\0' CALL "$@" ENV; env -0; } >>'%[1]s'
if [ "$*" = env ]; then
	'%[2]s' env >'%[1]s.env' && exec cat '%[1]s.env'
fi
exec '%[2]s' "$@"
`, l.calls, filepath.Join(goroot, "bin", "go"))
	if err := os.WriteFile(filepath.Join(l.goroot, "bin", "go"), []byte(script), 0o777); err != nil {
		t.Fatal(err)
	}

	for _, flag := range []string{"-trimpath=false", "-trimpath"} {
		cmd := exec.Command(filepath.Join(goroot, "bin", "go"), "build", flag, "runtime")
		cmd.Env = append(l.environ(), "GOROOT="+goroot, "GOCACHE="+l.warm, "GOPATH="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("filling a build cache: %v\n%s", err, out)
		}
	}
	return l
}

// environ returns the environment of a build dyno.
func (l *lab) environ() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + filepath.Join(l.root, "home"),
		"GOENV=off",
		"GOFLAGS=-p=1", // one order of building, so one log
		"GOTOOLCHAIN=local",
		"GOPROXY=off",
		"LC_ALL=C",
		"STACK=heroku-24",
	}
}

// expand replaces what differs between machines.
func (l *lab) expand(b []byte) string {
	return strings.NewReplacer("$GOVERSION", l.version, "$ROOT/", l.root+"/").Replace(string(b))
}

// An outcome is what a build did and left.
type outcome struct {
	stdout, stderr string
	failed         bool
	calls          []call
	files          []string
}

// A call is one call of the go command.
type call struct{ args, env []string }

type compileFunc func(ctx context.Context, b *Build, goroot, version string) error

func compileOurs(ctx context.Context, b *Build, goroot, version string) error {
	// Laid out as for the real one, so that the logs can be the same.
	unpacked := filepath.Join(b.Cache, ".heroku", "go", version, "go")
	if err := os.MkdirAll(filepath.Dir(unpacked), 0o777); err != nil {
		return err
	}
	if err := os.Symlink(goroot, unpacked); err != nil {
		return err
	}
	return (&Go{Root: goroot}).Compile(ctx, b)
}

// build lays out a scenario afresh and builds it.
func (l *lab) build(t *testing.T, file string, compile compileFunc) (*txtar.Archive, outcome) {
	t.Helper()
	ar, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := RemoveAll(l.root); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(l.calls); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	b := &Build{
		App:     filepath.Join(l.root, "app"),
		Cache:   filepath.Join(l.root, "cache"),
		Env:     filepath.Join(l.root, "env"),
		Environ: l.environ(),
		Stdout:  &stdout,
		Stderr:  &stderr,
	}
	for _, e := range strings.Split(strings.TrimSpace(string(section(ar, "environ"))), "\n") {
		if e != "" {
			b.Environ = append(b.Environ, e)
		}
	}
	for _, dir := range []string{b.App, b.Env, filepath.Join(l.root, "home")} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range ar.Files {
		if strings.HasPrefix(f.Name, "app/") || strings.HasPrefix(f.Name, "env/") {
			data := f.Data
			if f.Name == "app/go.mod" || f.Name == "env/GOVERSION" {
				data = []byte(l.expand(data))
			}
			path := filepath.Join(l.root, f.Name)
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := CopyTree(filepath.Join(b.Cache, ".heroku", "go", "go-build-cache"), l.warm); err != nil {
		t.Fatal(err)
	}

	err = compile(context.Background(), b, l.goroot, l.version)
	if err != nil && !exited(err) {
		t.Fatal(err)
	}
	return ar, outcome{
		stdout: stdout.String(),
		stderr: stderr.String(),
		failed: err != nil,
		calls:  readCalls(t, l.calls),
		files:  append(list(t, b.App), list(t, b.Cache)...),
	}
}

// readCalls reads what the recording go command wrote.
func readCalls(t *testing.T, file string) []call {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal("no go command was recorded: ", err)
	}
	var calls []call
	inEnv := false
	for _, s := range strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00") {
		name, _, _ := strings.Cut(s, "=")
		switch {
		case s == "CALL":
			calls, inEnv = append(calls, call{}), false
		case s == "ENV":
			inEnv = true
		case !inEnv:
			c := &calls[len(calls)-1]
			c.args = append(c.args, s)
		case name != "_" && name != "SHLVL" && name != "OLDPWD":
			c := &calls[len(calls)-1]
			c.env = append(c.env, s)
		}
	}
	return calls
}

func dump(calls []call) string {
	var b strings.Builder
	for _, c := range calls {
		fmt.Fprintf(&b, "go %q\n", c.args)
		sort.Strings(c.env)
		for _, e := range c.env {
			fmt.Fprintf(&b, "\t%s\n", e)
		}
	}
	return b.String()
}

// list returns a line for every file, directory and link below dir.
func list(t *testing.T, dir string) []string {
	var lines []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		detail := ""
		switch {
		case d.Name() == "build-data":
			return fs.SkipDir
		case d.Name() == "go-build-cache":
			lines = append(lines, path)
			return fs.SkipDir
		case info.Mode()&fs.ModeSymlink != 0:
			if detail, err = os.Readlink(path); err != nil {
				return err
			}
		case info.Mode().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			detail = fmt.Sprintf("%x", sha256.Sum256(b))
		}
		lines = append(lines, fmt.Sprint(path, " ", info.Mode(), " ", detail))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

var remarkLines = regexp.MustCompile(`(?m)^(\x1b\[1;\d\dm !     .*)?\n`)

func withoutRemarks(s string) string { return remarkLines.ReplaceAllString(s, "") }

// section returns the named file of ar, or nil.
func section(ar *txtar.Archive, name string) []byte {
	for _, f := range ar.Files {
		if f.Name == name {
			return append([]byte{}, f.Data...)
		}
	}
	return nil
}

func diff(t *testing.T, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := 0; i < len(g) || i < len(w); i++ {
		a, b := "(end)", "(end)"
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			t.Errorf("%s: line %d is\n\t%q\nwant\n\t%q\n\nall of it:\n%s", what, i+1, a, b, got)
			return
		}
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

func TestGoNeedsARealGoroot(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{"app", "cache"} {
		if err := os.Mkdir(filepath.Join(dir, path), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "app", "go.mod"), []byte("module m\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	b := &Build{App: filepath.Join(dir, "app"), Cache: filepath.Join(dir, "cache"), Env: filepath.Join(dir, "env"), Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{}}
	err := (&Go{Root: filepath.Join(dir, "nowhere")}).Compile(context.Background(), b)
	if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "nowhere")) {
		t.Errorf("got the error %v, want one that names the GOROOT", err)
	}
}

// A change of the Go release empties heroku/go's part of the cache and leaves
// the other buildpacks' alone.
func TestGoChangeOfRelease(t *testing.T) {
	dir := resolved(t, t.TempDir())
	write := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	// A Go that does nothing, since only the cache is of interest.
	for _, v := range []string{"go1.97.1", "go1.98.2"} {
		write(v+"/VERSION", v+"\ntime 2026-01-01T00:00:00Z\n")
		write(v+"/bin/go", "#!/bin/sh\n")
	}
	write("app/go.mod", "module m\n\ngo 1.97\n")
	write("cache/other/kept", "")
	compile := func(version string) string {
		t.Helper()
		var log bytes.Buffer
		b := &Build{App: filepath.Join(dir, "app"), Cache: filepath.Join(dir, "cache"), Env: filepath.Join(dir, "env"), Stdout: &log, Stderr: &log}
		b.Environ = []string{"PATH=" + os.Getenv("PATH")}
		if err := (&Go{Root: filepath.Join(dir, version)}).Compile(context.Background(), b); err != nil {
			t.Fatal(err)
		}
		return log.String()
	}
	there := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, "cache", name))
		return err == nil
	}

	if log := compile("go1.97.1"); !strings.Contains(log, "-----> Installing go1.97.1\n") {
		t.Errorf("the first build did not install Go:\n%s", log)
	}
	write("cache/.heroku/go/go-path/pkg/mod/m@v1/file", "")
	if err := os.Chmod(filepath.Join(dir, "cache/.heroku/go/go-path/pkg/mod/m@v1"), 0o555); err != nil {
		t.Fatal(err)
	}
	if log := compile("go1.97.1"); !strings.Contains(log, "-----> Using go1.97.1\n") || !there(".heroku/go/go-path") {
		t.Errorf("the second build did not keep the cache:\n%s", log)
	}
	log := compile("go1.98.2")
	if !strings.Contains(log, "-----> New Go Version, clearing old cache\n-----> Installing go1.98.2\n       The app asks for go1.97; ") {
		t.Errorf("the build with another release has the log:\n%s", log)
	}
	if there(".heroku/go/go-path") || there(".heroku/go/go1.97.1") || !there(".heroku/go/go1.98.2/go/bin/go") || !there("other/kept") {
		t.Error("the build with another release did not empty its own part of the cache, or more than that")
	}
}
