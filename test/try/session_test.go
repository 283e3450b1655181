//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	var usage bytes.Buffer
	o, err := parse([]string{"-for", "30s", "-config", "A=b=c", "-config", "D=", "-process", "web", "dir", "--", "-for", "--", "x"}, &usage)
	if err != nil {
		t.Fatal(err)
	}
	defer o.page.Close()
	if o.app != "dir" || o.duration != 30*time.Second || o.interval != 2*time.Second || o.process != "web" ||
		strings.Join(o.args, " ") != "-for -- x" || strings.Join(o.config, " ") != "A=b=c D=" || o.cache == "" || !strings.HasPrefix(o.page.Addr().String(), "127.0.0.1:") {
		t.Errorf("got %+v", o)
	}
	for args, want := range map[string]string{
		"dir -for 30s":       "flags go before it",
		"-interval 999ms":    "at least 1s",
		"-for 4s":            "-for 4s is too short",
		"-config A":          "want NAME=VALUE",
		"-config ../A=b":     "want NAME=VALUE",
		"-nonsense":          "not defined",
		"-page 127.0.0.1:x":  "-page 127.0.0.1:x: ",
		"-cache= -- an app ": "-cache names no directory",
	} {
		_, err := parse(strings.Fields(args), &usage)
		var out bytes.Buffer
		if status(err, &out) != 2 || strings.Count(out.String(), want) != 1 {
			t.Errorf("parse(%s) gives the error %v, printed as %q, want one with %q", args, err, &out, want)
		}
	}
	if usage.Len() > 0 {
		t.Errorf("errors are on standard output: %s", &usage)
	}
	if _, err := parse([]string{"-h"}, &usage); status(err, &usage) != 0 || !strings.Contains(usage.String(), "Examples:") || !strings.Contains(usage.String(), "-interval") {
		t.Errorf("-h gives the error %v and prints %s", err, &usage)
	}
}

// Two runs do not build with one CACHE_DIR at the same time.
func TestLock(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	waiting := make(chan struct{})
	s := &session{stderr: &output{steps: []step{{"waiting for another run", func([]string) { close(waiting) }}}}}
	first, err := s.lock(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	second := make(chan error)
	lock := func() { _, err := s.lock(ctx, dir); second <- err }
	go lock()
	<-waiting
	first.Close()
	if err := <-second; err != nil {
		t.Error(err)
	}
	go lock() // the second one has it
	cancel()
	if err := <-second; err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("waiting ended with %v, want an interruption", err)
	}
}

func TestInterrupts(t *testing.T) {
	ctx, hurry := interrupts()
	syscall.Kill(os.Getpid(), syscall.SIGINT)
	<-ctx.Done()
	select {
	case <-hurry:
		t.Error("the first signal ends it at once")
	default:
	}
	syscall.Kill(os.Getpid(), syscall.SIGINT)
	<-hurry
}

// A build has what it needs to reach the network, from the environment or from
// the go command's own file, and nothing else of the user's.
func TestBuildEnviron(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte("GOFLAGS=-mod=mod\nGOPROXY=https://proxy.example\nGOPRIVATE=git.example\nGOOS=plan9\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	path := "PATH=" + os.Getenv("PATH")
	want := []string{"HOME=/home/user", path, "https_proxy=http://proxy.example:3128", "SSL_CERT_FILE=/cert.pem", "GOMODCACHE=/modules",
		"GOPRIVATE=git.example", "GOPROXY=https://proxy.example", "GOTOOLCHAIN=local", "GOVCS=*:git", "GOENV=off", "STACK=heroku-24"}
	s := &session{buildpack: t.TempDir(), environ: []string{
		path, "HOME=/home/user", "https_proxy=http://proxy.example:3128", "SSL_CERT_FILE=/cert.pem",
		"GOENV=" + file, "GOVCS=*:git", "GOMODCACHE=/modules", "GOCACHE=/cache", "GOTOOLCHAIN=local",
		"GOFLAGS=-tags=users", "CGO_ENABLED=0", "GOEXPERIMENT=", "DATABASE_URL=postgres://user", "HMETRICS_INJECT=off",
	}}
	env, goroot, err := s.buildEnviron(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(goroot, "VERSION")); err != nil {
		t.Errorf("GOROOT: %v", err)
	}
	for _, v := range want {
		if !slices.Contains(env, v) {
			t.Errorf("the build lacks %s: %q", v, env)
		}
	}
	for _, v := range env {
		if name, _, _ := strings.Cut(v, "="); !slices.Contains(want, v) && !slices.Contains([]string{"GOAUTH", "GONOPROXY", "GONOSUMDB", "GOSUMDB"}, name) {
			t.Errorf("the build has %s", v)
		}
	}
}

func TestReadDotenv(t *testing.T) {
	file := filepath.Join(t.TempDir(), ".env")
	if env, err := readDotenv(file); env != nil || err != nil {
		t.Errorf("of no file came %q, %v", env, err)
	}
	for content, want := range map[string]string{
		"# secrets\n\nA=b=c # comment\r\n B = d e \nC=\nD=\"x # y\" z\nE='\"'": `["A=b=c" "B=d e" "C=" "D=x # y" "E=\""]`,
		"A=b\nnothing":  "line 2 is not NAME=VALUE",
		"\nA='no end\n": "line 2 is not NAME=VALUE",
	} {
		if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		env, err := readDotenv(file)
		if got := fmt.Sprintf("%q", env); got != want && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("of %q came %s, %v, want %s", content, got, err, want)
		}
	}
}

func TestUnset(t *testing.T) {
	dir := writeFiles(t, `
-- main.go --
var a, b = os.Getenv("PORT"), os.Getenv("TOKEN")
-- main_test.go --
var c = os.Getenv("TEST")
-- vendor/v.go --
var d = os.Getenv("VENDORED")
`)
	for text, want := range map[string]string{
		"no DATABASE_URL is set, DATABASE_URL, and HTTP_PROXY is x": "[DATABASE_URL]",
		"panic: I AM LOST": "[TOKEN]",
	} {
		if got := fmt.Sprint(unset(text, dir, []string{"PORT=1", "HTTP_PROXY=x"})); got != want {
			t.Errorf("of %q came %s, want %s", text, got, want)
		}
	}
}

func TestFindSource(t *testing.T) {
	const app = "-- app/go.mod --\nmodule m\n"
	for name, tt := range map[string]struct {
		files string
		roots string // besides app, relative to the directory that holds it
		base  string
		err   string
	}{
		"an app on its own":           {files: app + "-- app/sub/go.mod --\nmodule s\n", base: "app"},
		"modules beside the app":      {files: app + "replace (\n\tx => ../x\n\ty => ./y\n\tz v1.0.0 => z.example/z v1.0.1\n\tn => ../not-there\n)\n-- x/go.mod --\nmodule x\n-- app/y/go.mod --\nmodule y\n", roots: "app/y x", base: "."},
		"the module above an example": {files: "-- go.mod --\nmodule m\n" + app + "replace m => ../\n", roots: ".", base: "."},
		"a workspace above the app":   {files: "-- go.work --\ngo 1.18\nuse (\n\t./app\n\t./lib\n)\nreplace r => ./r\n-- go.work.sum --\n" + app + "-- lib/go.mod --\nmodule lib\nreplace q => ../q\n-- q/go.mod --\nmodule q\n-- r/go.mod --\nmodule r\n-- other/x --\n", roots: "go.work go.work.sum lib q r", base: "."},
		"a workspace of others":       {files: "-- go.work --\ngo 1.18\nuse ./lib\n-- lib/go.mod --\nmodule lib\n" + app, base: "app"},
		"no module at all":            {files: "-- app/main.go --\npackage main\n", err: "make one with 'go mod init'"},
		"a package of a module":       {files: "-- go.mod --\nmodule m\n-- app/main.go --\npackage main\n", err: "GO_INSTALL_PACKAGE_SPEC=./app"},
		"a module in a directory":     {files: "-- app/server/go.mod --\nmodule m\n", err: "its directory server has"},
		"no app at all":               {files: "-- x --\n", err: "opening the app"},
		"a file":                      {files: "-- app --\n", err: "is not a directory"},
		"a go.mod with a mistake":     {files: app + "require\n", err: "go.mod:2"},
		"a go.work with a mistake":    {files: "-- app/go.work --\nuse\n" + app, err: "go.work:1"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := writeFiles(t, tt.files)
			for _, setting := range []string{"GOWORK=", "GOWORK=off"} {
				s := &session{environ: append(os.Environ(), "GOFLAGS=", "GO111MODULE=", setting)}
				src, err := s.findSource(context.Background(), filepath.Join(dir, "app"))
				if setting == "GOWORK=off" && strings.Contains(tt.files, "go.work") {
					tt.roots, tt.base, tt.err = "", "app", ""
				}
				if tt.err != "" {
					if err == nil || !strings.Contains(err.Error(), tt.err) {
						t.Fatalf("got the error %v, want one with %q", err, tt.err)
					}
					continue
				}
				want := []string{filepath.Join(dir, "app")}
				for _, root := range strings.Fields(tt.roots) {
					want = append(want, filepath.Join(dir, root))
				}
				slices.Sort(src.roots)
				slices.Sort(want)
				if err != nil || !slices.Equal(src.roots, want) || src.base != filepath.Join(dir, tt.base) {
					t.Errorf("%s: the roots are %s, the base is %s, %v, want %s", setting, src.roots, src.base, err, want)
				}
			}
		})
	}
}
