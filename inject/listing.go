package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"sort"
	"strings"
)

// archiveVars are the environment variables that change what the archives of
// the standard library hold, or where they lie (go help environment).
var archiveVars = strings.Fields("GOOS GOARCH GOARM GOARM64 GOAMD64 GO386 GOMIPS GOMIPS64 GOPPC64 GORISCV64 GOWASM " +
	"GOEXPERIMENT GOFIPS140 GOROOT GOCACHE GOCACHEPROG CGO_ENABLED CGO_CFLAGS CGO_CPPFLAGS CGO_CXXFLAGS CGO_FFLAGS CGO_LDFLAGS " +
	"CGO_CFLAGS_ALLOW CGO_CFLAGS_DISALLOW CGO_CPPFLAGS_ALLOW CGO_CPPFLAGS_DISALLOW CGO_CXXFLAGS_ALLOW CGO_CXXFLAGS_DISALLOW " +
	"CGO_LDFLAGS_ALLOW CGO_LDFLAGS_DISALLOW CC CXX FC AR PKG_CONFIG")

// archiveEnv returns the assignments of archiveVars in env.
func archiveEnv(env []string) []string {
	var out []string
	for _, name := range archiveVars {
		out = append(out, name+"="+getenv(env, name))
	}
	return out
}

// list compiles the agent with the flags of the app's build and returns the
// archives of its packages and of all under them. The go command finds most in
// its cache; the whole answer is kept in the stage, and used again as long as
// every file in it is there.
func (s stage) list(g goTool, flags []string, fresh bool) (importConfig, error) {
	key := strings.Join(append(append([]string{g.compiler, g.id}, flags...), archiveEnv(g.env)...), "\x00")
	sum := sha256.Sum256([]byte(key))
	name := s.path("listings", hex.EncodeToString(sum[:12]))
	if !fresh {
		if b, err := os.ReadFile(name); err == nil {
			if l := parseImportConfig(string(b)); l.complete() {
				return l, nil
			}
		}
	}
	args := append([]string{"list", "-export", "-deps", "-toolexec=" + g.toolexec}, flags...)
	args = append(args, "-f", "{{if .Export}}packagefile {{.ImportPath}}={{.Export}}{{end}}", shadedOnload)
	out, err := g.preflight(s.path("shaded"), compileTimeout, args...)
	if err != nil {
		return importConfig{}, fmt.Errorf("compiling the agent: %w", err)
	}
	l := parseImportConfig(out)
	if !l.complete() {
		return importConfig{}, fmt.Errorf("compiling the agent: the go command lists no archive for it")
	}
	// Without the file, the next one to ask takes longer, nothing else.
	if writeFile(name, []byte(out)) != nil {
		os.RemoveAll(name)
	}
	return l, nil
}

// complete reports whether the listing holds the agent and all its files exist.
func (c importConfig) complete() bool {
	if c.archives[shadedOnload] == "" {
		return false
	}
	for _, archive := range c.archives {
		if !exists(archive) {
			return false
		}
	}
	return true
}

// conflict returns a package that this listing and the app's build both have
// but compiled to different archives, or "".
func (c importConfig) conflict(app importConfig) (string, error) {
	for _, path := range sortedKeys(app.archives) {
		ours, ok := c.archives[path]
		if !ok {
			continue
		}
		same, err := sameArchive(ours, app.archives[path])
		if err != nil || !same {
			return path, err
		}
	}
	return "", nil
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}
