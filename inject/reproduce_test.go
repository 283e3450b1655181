package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/gocmd"
)

// goProgram builds a small program and returns a rebuilder for its directory, and the program
// that it finds.
func goProgram(t *testing.T, goflags string, flags ...string) (*rebuilder, *binary) {
	t.Helper()
	app := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":  "module example.com/app\n\ngo 1.18\n",
		"main.go": "package main\n\nvar version string\n\nfunc main() { println(version) }\n",
	} {
		if err := os.WriteFile(filepath.Join(app, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	// go test sets either GOROOT or the PATH that goes with it.
	command, err := exec.LookPath(filepath.Join(os.Getenv("GOROOT"), "bin", "go"))
	if os.Getenv("GOROOT") == "" {
		command, err = exec.LookPath("go")
	}
	if err != nil {
		t.Fatal(err)
	}
	env := gocmd.Setenv(os.Environ(), "GOENV=off", "GOWORK=off", "CGO_ENABLED=0", "GOTOOLCHAIN=local")
	cmd := exec.Command(command, append(append([]string{"build", "-buildvcs=false", "-o", "bin/app"}, flags...), ".")...)
	cmd.Dir = app
	cmd.Env = gocmd.Setenv(env, "GOFLAGS=", "PWD="+app)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	r := &rebuilder{
		gocmd: command, app: app, work: t.TempDir(), env: gocmd.Setenv(env, "GOFLAGS="+goflags),
		modules: map[string]string{"example.com/app": app},
	}
	binaries := r.find([]string{app})
	if len(binaries) != 1 {
		t.Fatalf("found %d programs", len(binaries))
	}
	return r, binaries[0]
}

// GOFLAGS may have flags that the program was not built with, and vice versa.
func TestReproduce(t *testing.T) {
	for _, tt := range []struct {
		goflags string
		flags   []string
	}{
		{"", nil},
		{"-v", []string{"-tags=a,b", "-ldflags=-s -X main.version=1"}},
		{"-tags=c -trimpath -buildmode=pie '-ldflags=-s -w'", nil},
		{"-ldflags=-w", []string{"-trimpath", "-ldflags=-s"}},
		{"-trimpath", []string{"-trimpath", "-ldflags=-X main.version=v1"}},
	} {
		r, program := goProgram(t, tt.goflags, tt.flags...)
		r.env = gocmd.Setenv(r.env, "GO_LINKER_SYMBOL=main.version", "GO_LINKER_VALUE=v1")
		_, err := r.reproduce(program)
		// Under -trimpath not even heroku/go's own -ldflags are known.
		if known := !strings.Contains(strings.Join(tt.flags, " "), "-trimpath -ldflags=-s"); (err == nil) != known {
			t.Errorf("built with %q, under GOFLAGS=%s: %v", tt.flags, tt.goflags, err)
		}
	}
}

func TestReproduceSeesAChange(t *testing.T) {
	for what, change := range map[string]func(app string) error{
		"a byte more": func(app string) error {
			f, err := os.OpenFile(filepath.Join(app, "bin", "app"), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			f.WriteString("x")
			return f.Close()
		},
		"other sources": func(app string) error {
			return os.WriteFile(filepath.Join(app, "main.go"), []byte("package main\n\nfunc main() { println(1) }\n"), 0o666)
		},
	} {
		r, program := goProgram(t, "")
		if err := change(r.app); err != nil {
			t.Fatal(err)
		}
		if _, err := r.reproduce(program); err == nil || !strings.Contains(err.Error(), "building it again gives a different program") {
			t.Errorf("%s: error %v", what, err)
		}
	}
}

func TestRecordedVendored(t *testing.T) {
	r, program := goProgram(t, "")
	if err := os.Mkdir(filepath.Join(r.app, "vendor"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, sum := range []string{"", "something"} {
		if err := os.WriteFile(filepath.Join(r.app, "go.sum"), []byte(sum), 0o666); err != nil {
			t.Fatal(err)
		}
		if flags, _ := r.recorded(program); strings.Contains(strings.Join(flags, " "), "-mod=vendor") != (sum != "") {
			t.Errorf("with %q in go.sum and a vendor directory, the flags are %q", sum, flags)
		}
	}
}

func TestWithoutBuildpack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bin")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	tool := filepath.Join(dir, "toolexec")
	for _, tt := range []struct{ script, goflags, want string }{
		{"# HMETRICS_STAGE", "-tags=x -toolexec=" + tool, "-tags=x"},
		{"# HMETRICS_STAGE", "-toolexec=/mine -toolexec=" + tool, "-toolexec=/mine"},
		{"# the user's own", "-toolexec=" + tool, "-toolexec=" + tool},
		{"# HMETRICS_STAGE", "-toolexec=" + tool + " '-ldflags=", "-toolexec=" + tool + " '-ldflags="},
	} {
		if err := os.WriteFile(tool, []byte(tt.script), 0o777); err != nil {
			t.Fatal(err)
		}
		if got := withoutBuildpack(tt.goflags); got != tt.want {
			t.Errorf("%s becomes %s, want %s", tt.goflags, got, tt.want)
		}
	}
}
