package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/gocmd"
)

// herokuGoVars are the config vars that heroku/go has its go commands see.
var herokuGoVars = strings.Fields("CGO_CFLAGS CGO_CPPFLAGS CGO_CXXFLAGS CGO_LDFLAGS GOFLAGS GOPROXY GOPRIVATE GONOPROXY " +
	"GO_LINKER_SYMBOL GO_LINKER_VALUE GO_SETUP_GOPATH_FOR_MODULE_CACHE")

// longestVar is about the longest variable with which a program can be started.
const longestVar = 120000

// herokuGoEnv returns env as heroku/go sets it, and Scalingo's fork of it: with what it
// takes of the config vars in envDir, "" for none, and with its directories in cache.
func (r rebuilder) herokuGoEnv(env []string, envDir, cache string) []string {
	set := func(name, value string) { env = gocmd.Setenv(env, name+"="+value) }
	set("GO_LINKER_VALUE", gocmd.Getenv(env, "SOURCE_VERSION"))
	for _, name := range herokuGoVars {
		if envDir == "" {
			break
		}
		b, err := os.ReadFile(filepath.Join(envDir, name))
		if err != nil {
			continue
		}
		if len(b) >= longestVar {
			fmt.Fprintf(r.log, " !     The config var %s is too long for the environment of a program. Rebuilding without it.\n", name)
			continue
		}
		lines := strings.Split(strings.ReplaceAll(string(b), "\x00", ""), "\n")
		for i := range lines {
			lines[i] = strings.Replace(lines[i], "${build_dir}", r.app, 1)
		}
		set(name, strings.TrimRight(strings.Join(lines, "\n"), "\n"))
	}
	goroot := filepath.Dir(filepath.Dir(r.gocmd))
	set("GOROOT", goroot)
	set("PATH", filepath.Join(goroot, "bin")+":"+gocmd.Getenv(env, "PATH"))
	set("GOCACHE", filepath.Join(cache, "go-build-cache"))
	set("GOBIN", filepath.Join(r.app, "bin"))
	set("GOPATH", filepath.Join(cache, "go-path"))
	if gocmd.Getenv(env, "GO_SETUP_GOPATH_FOR_MODULE_CACHE") == "true" {
		set("GOPATH", filepath.Join(r.app, ".heroku/go-path"))
	}
	return env
}
