package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/gocmd"
)

// herokuGoVars are the config vars that heroku/go passes to its go commands.
var herokuGoVars = strings.Fields("CGO_CFLAGS CGO_CPPFLAGS CGO_CXXFLAGS CGO_LDFLAGS GOFLAGS GOPROXY GOPRIVATE GONOPROXY " +
	"GO_LINKER_SYMBOL GO_LINKER_VALUE GO_SETUP_GOPATH_FOR_MODULE_CACHE")

// longestVar is about the longest variable that a program can be started with.
const longestVar = 120000

// herokuGoEnv returns env as heroku/go and Scalingo's fork set it: with the config vars that
// they take from envDir, if that is not empty, and with their directories in cache.
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
