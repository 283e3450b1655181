//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A build has what it needs to reach the network, from the environment or from
// the go command's own file, and nothing else of the user's.
func TestBuildEnviron(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte("GOFLAGS=-mod=mod\nGOPROXY=https://proxy.example\nGOPRIVATE=git.example\nGOOS=plan9\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	tr := &trial{environ: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/home/user", "https_proxy=http://proxy.example:3128", "SSL_CERT_FILE=/cert.pem",
		"GOENV=" + file, "GOVCS=*:git", "GOMODCACHE=/modules", "GOCACHE=/cache", "GOTOOLCHAIN=local",
		"GOFLAGS=-tags=users", "CGO_ENABLED=0", "GOEXPERIMENT=", "DATABASE_URL=postgres://user", "HMETRICS_INJECT=off",
	}}
	env, goroot, err := buildEnviron(context.Background(), tr.environ, tr.goCommand, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(goroot, "VERSION")); err != nil {
		t.Errorf("GOROOT: %v", err)
	}
	got := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		got[name] = value
	}
	for name, want := range map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": "/home/user", "https_proxy": "http://proxy.example:3128", "SSL_CERT_FILE": "/cert.pem",
		"GOENV": "off", "GOVCS": "*:git", "GOMODCACHE": "/modules", "GOTOOLCHAIN": "local",
		"GOPROXY": "https://proxy.example", "GOPRIVATE": "git.example", "STACK": "heroku-24",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
	}
	for _, name := range []string{"GOFLAGS", "GOOS", "GOCACHE", "CGO_ENABLED", "DATABASE_URL", "HMETRICS_INJECT"} {
		if value, ok := got[name]; ok {
			t.Errorf("%s is there, as %q", name, value)
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
	environ := []string{"PORT=1", "HTTP_PROXY=x"}
	for text, want := range map[string]string{
		"no DATABASE_URL is set, DATABASE_URL, and HTTP_PROXY is x": "[DATABASE_URL]",
		"panic: I AM LOST": "[TOKEN]",
	} {
		if got := fmt.Sprint(unset(text, dir, environ)); got != want {
			t.Errorf("of %q came %s, want %s", text, got, want)
		}
	}
}
