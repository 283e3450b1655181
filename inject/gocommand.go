package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A parentCommand is the running go command whose steps these are. It tells its
// tools neither its flags nor its directory; /proc does.
type parentCommand struct {
	args []string // its command line, the program's name first
	dir  string   // its working directory
}

// findParent returns the go command that process pid is, or the nearest one above
// it: a -toolexec of the user's own may stand between the two. What the go command
// starts has the variable TOOLEXEC_IMPORTPATH as this process has it; the go
// command, whatever its file is called, has not.
func findParent(proc string, pid int, importPath string) (parentCommand, error) {
	for pid > 1 {
		dir := filepath.Join(proc, strconv.Itoa(pid))
		env, err := os.ReadFile(filepath.Join(dir, "environ"))
		cmdline, cerr := os.ReadFile(filepath.Join(dir, "cmdline"))
		cwd, derr := os.Readlink(filepath.Join(dir, "cwd"))
		stat, serr := os.ReadFile(filepath.Join(dir, "stat"))
		for _, err := range []error{err, cerr, derr, serr} {
			if err != nil {
				return parentCommand{}, fmt.Errorf("reading the go command's flags: %w", err)
			}
		}
		if getenv(strings.Split(string(env), "\x00"), "TOOLEXEC_IMPORTPATH") != importPath {
			return parentCommand{strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00"), cwd}, nil
		}
		pid = parseStat(string(stat))
	}
	return parentCommand{}, errors.New("no go command is above the step: build with go build, go install or go run")
}

// parseStat returns the parent of a process from its /proc/PID/stat (man 5 proc):
// "pid (comm) state ppid …", where comm may hold spaces and parentheses. It returns
// 0 if there is none.
func parseStat(stat string) (parent int) {
	fmt.Sscanf(stat[strings.LastIndexByte(stat, ')')+1:], " %s %d", new(string), &parent)
	return parent
}

const (
	// A module proxy that does not answer must not hold the app's build for
	// longer than this.
	fetchTimeout = 2 * time.Minute
	// What is compiled for the agent the app's build needs too, but for the
	// agent's own packages: this is for what hangs, not for what is slow.
	compileTimeout = 15 * time.Minute
	lockTimeout    = 5 * time.Minute
	rebuildTimeout = time.Hour
)

// runGo runs a go command in dir with the assignments put into env, and returns
// what it prints. Its error holds the line of the messages that matters.
func runGo(gocmd, dir string, env, assignments []string, timeout time.Duration, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, gocmd, args...)
	cmd.Dir = dir
	cmd.Env = setenv(env, append([]string{"PWD=" + dir}, assignments...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	line := oneLine(stderr.String())
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

// setenv returns env with the assignments, the last of which counts for a name.
func setenv(env []string, assignments ...string) []string {
	return append(env[:len(env):len(env)], assignments...)
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
