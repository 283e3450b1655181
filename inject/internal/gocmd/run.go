package gocmd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sort"
	"strings"
	"time"
)

// Run runs a go command in dir with the assignments added to env, and returns its output. The
// error is the problem that the go command's messages describe.
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
		return "", fmt.Errorf("go %s did not end within %v", args[0], timeout)
	case err != nil && line != "":
		return "", errors.New(line)
	case err != nil:
		return "", fmt.Errorf("go %s: %w", args[0], err)
	}
	return stdout.String(), nil
}

// Setenv returns env with the assignments. For each name, the last assignment counts.
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

// Setting returns a setting of the go command that started this process: the variable, or
// else the value in the file GOENV. The go command puts most settings of that file into the
// environment, but not GOWORK.
func Setting(name string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	file, _ := os.ReadFile(os.Getenv("GOENV"))
	return Getenv(strings.Split(string(file), "\n"), name)
}

// Problem returns the first problem in a go command's messages. It skips progress and
// warnings, and joins a line that ends in a colon with the next one.
func Problem(s string) string {
	problem := ""
	for _, line := range strings.Split(s, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "# ") || strings.HasPrefix(line, "go: downloading ") || strings.HasPrefix(line, "go: finding ") || strings.Contains(strings.ToLower(line), "warning: ") {
			continue
		}
		problem += line
		if !strings.HasSuffix(line, ":") {
			break
		}
		problem += " "
	}
	return strings.TrimSpace(problem)
}

// variables are the environment variables that change the archives of the standard library
// or their location, or that a program's build information records (go help environment).
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

// IsRecordedVariable reports whether a program's build information records a variable.
func IsRecordedVariable(name string) bool { return variables[name]&recorded != 0 }

// ArchiveVariables returns the assignments of env that change archives, sorted.
func ArchiveVariables(env []string) (assignments []string) {
	for name, use := range variables {
		if value := Getenv(env, name); use&changesArchives != 0 && value != "" {
			assignments = append(assignments, name+"="+value)
		}
	}
	sort.Strings(assignments)
	return assignments
}

// Printable replaces control characters, which would affect a terminal or a build log.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, text)
}
