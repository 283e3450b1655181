package gocmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sort"
	"strings"
	"time"
)

// Run runs a go command in dir with the assignments put into env, and returns
// what it prints. Its error is the
// problem that its messages tell.
func Run(gocmd, dir string, env, assignments []string, timeout time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, gocmd, args...)
	cmd.Dir = dir
	cmd.Env = Setenv(env, append([]string{"PWD=" + dir}, assignments...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	line := Problem(stderr.String())
	switch {
	case ctx.Err() != nil:
		return "", fmt.Errorf("go %s has not ended within %v", args[0], timeout)
	case err != nil && line != "":
		return "", errors.New(line)
	case err != nil:
		return "", fmt.Errorf("go %s: %w", args[0], err)
	}
	return stdout.String(), nil
}

// Setenv returns env with the assignments, the last of which counts for a name.
func Setenv(env []string, assignments ...string) []string {
	return append(env[:len(env):len(env)], assignments...)
}

// Getenv returns the value of a variable in env.
func Getenv(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if strings.HasPrefix(env[i], name+"=") {
			return env[i][len(name)+1:]
		}
	}
	return ""
}

// Problem returns the first line of a go command's messages that tells a
// problem, not progress.
func Problem(s string) string {
	for _, line := range strings.Split(s, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "# ") || strings.HasPrefix(line, "go: downloading ") || strings.HasPrefix(line, "go: finding ") {
			continue
		}
		return line
	}
	return ""
}

// variables are the environment variables that change what the archives of the
// standard library hold, or where they lie, or that stand in a program's build
// information (go help environment).
var variables = map[string]use{
	"GOOS": changesArchives | recorded, "GOARCH": changesArchives | recorded, "CGO_ENABLED": changesArchives | recorded,
	"GO386": changesArchives | recorded, "GOAMD64": changesArchives | recorded, "GOARM": changesArchives | recorded,
	"GOARM64": changesArchives | recorded, "GOMIPS": changesArchives | recorded, "GOMIPS64": changesArchives | recorded,
	"GOPPC64": changesArchives | recorded, "GORISCV64": changesArchives | recorded, "GOWASM": changesArchives,
	"GOEXPERIMENT": changesArchives | recorded, "GOFIPS140": changesArchives | recorded,
	"CGO_CFLAGS": changesArchives | recorded, "CGO_CPPFLAGS": changesArchives | recorded,
	"CGO_CXXFLAGS": changesArchives | recorded, "CGO_LDFLAGS": changesArchives | recorded, "CGO_FFLAGS": changesArchives,
	"CGO_CFLAGS_ALLOW": changesArchives, "CGO_CFLAGS_DISALLOW": changesArchives,
	"CGO_CPPFLAGS_ALLOW": changesArchives, "CGO_CPPFLAGS_DISALLOW": changesArchives,
	"CGO_CXXFLAGS_ALLOW": changesArchives, "CGO_CXXFLAGS_DISALLOW": changesArchives,
	"CGO_LDFLAGS_ALLOW": changesArchives, "CGO_LDFLAGS_DISALLOW": changesArchives,
	"CC": changesArchives, "CXX": changesArchives, "FC": changesArchives, "AR": changesArchives, "PKG_CONFIG": changesArchives,
	"GOCACHEPROG": changesArchives,
}

// IsRecordedVariable reports whether a variable stands in a program's build information.
func IsRecordedVariable(name string) bool { return variables[name]&recorded != 0 }

// ArchiveVariables returns, sorted, those assignments of env that change archives.
func ArchiveVariables(env []string) (assignments []string) {
	for name, use := range variables {
		if value := Getenv(env, name); use&changesArchives != 0 && value != "" {
			assignments = append(assignments, name+"="+value)
		}
	}
	sort.Strings(assignments)
	return assignments
}

// Printable returns text without control characters, which a terminal or a build log
// would act on.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, text)
}
