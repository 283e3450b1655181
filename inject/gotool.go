package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A toolchain is the Go installation whose tools a go command runs.
type toolchain struct {
	compiler string // path of its compiler: GOROOT/pkg/tool/OS_ARCH/compile
	id       string // what the compiler answers to -V=full
}

func (t toolchain) goroot() string {
	return filepath.Clean(filepath.Join(filepath.Dir(t.compiler), "..", "..", ".."))
}

// A goTool runs the app's go command for our own purposes.
type goTool struct {
	toolchain
	toolexec string
	env      []string
}

const (
	// A module proxy that does not answer must not hold the app's build for
	// longer than this.
	fetchTimeout = 2 * time.Minute
	// What is compiled here the app's build needs too, but for the agent's own
	// packages: this is for what hangs, not for what is slow.
	compileTimeout = 15 * time.Minute
)

// preflight runs the go command in dir, on our module there, with its flags
// from args alone, and returns what it prints.
func (g goTool) preflight(dir string, timeout time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	// GOFLAGS must not be empty: the go command would take it from its
	// configuration file (go env -w).
	out, err := g.run(ctx, dir, []string{"HMETRICS_PREFLIGHT=1", "GOFLAGS=-mod=readonly", "GO111MODULE=on", "GOWORK=off"}, args...)
	if ctx.Err() != nil {
		return "", fmt.Errorf("go %s has not ended within %v", args[0], timeout)
	}
	return out, err
}

// run runs the go command in dir with the assignments env added to its
// environment. Its error holds the line of the messages that matters.
func (g goTool) run(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, filepath.Join(g.goroot(), "bin", "go"), args...)
	cmd.Dir = dir
	cmd.Env = setenv(g.env, append(env, "GOTOOLCHAIN=local", "PWD="+dir)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if line := oneLine(stderr.String()); line != "" {
			return "", errors.New(line)
		}
		return "", fmt.Errorf("go %s: %w", args[0], err)
	}
	return stdout.String(), nil
}

// setenv returns env with the assignments in place of what it holds under the
// same names.
func setenv(env []string, assignments ...string) []string {
	set := make(map[string]bool)
	for _, a := range assignments {
		set[a[:strings.IndexByte(a, '=')]] = true
	}
	var out []string
	for _, e := range env {
		if i := strings.IndexByte(e, '='); i < 0 || !set[e[:i]] {
			out = append(out, e)
		}
	}
	return append(out, assignments...)
}

// getenv returns the value of a variable in env.
func getenv(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if strings.HasPrefix(env[i], name+"=") {
			return env[i][len(name)+1:]
		}
	}
	return ""
}

// oneLine returns the first line of a go command's messages that tells a
// problem, not progress.
func oneLine(s string) string {
	for _, line := range strings.Split(s, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "# ") || strings.HasPrefix(line, "go: downloading ") || strings.HasPrefix(line, "go: finding ") {
			continue
		}
		return line
	}
	return ""
}

// exists reports whether a file is there.
func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
