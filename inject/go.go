package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/gocmd"
	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/program"
)

const goUsage = `usage: inject go ARG…

Runs the go command with these arguments, and links the metrics agent into the
programs that it builds:

	inject go build -o bin/web ./cmd/web

HMETRICS_INJECT and HMETRICS_PACKAGES work as in the buildpack. If the agent cannot
be linked, inject go says why and runs the go command without it. With
HMETRICS_INJECT=require, it exits with status 1 instead. Otherwise, the exit status
is the go command's.
`

const envUsage = `usage: inject env

Prints shell commands that set up the environment: every go command started there
links the metrics agent. Use it for tools that start the go command themselves:

	eval "$(inject env)" && goreleaser build
`

// goCommand runs the go command with the agent.
func goCommand(args []string) error {
	if len(args) == 0 || args[0] == "-h" || args[0] == "--help" {
		return printUsage(goUsage, len(args) > 0)
	}
	if flags, err := gocmd.ReadFlags(append([]string{"go"}, args...), "", ""); err == nil && flags.Last("toolexec") != "" {
		return usageError("inject go: -toolexec on the command line replaces the injector: set GOFLAGS=-toolexec=COMMAND instead, and both run\n")
	}
	command, err := findGo("go")
	if err != nil {
		return err
	}
	mode := injectMode()
	assignments, err := goEnvironment(command, mode)
	if err != nil && mode == "require" {
		return fmt.Errorf("inject go: HMETRICS_INJECT is require, and the metrics agent cannot be linked: %w", err)
	} else if err != nil {
		fmt.Fprintln(os.Stderr, "hmetrics: the metrics agent is not linked:", gocmd.Printable(err.Error()))
	}
	for _, a := range assignments {
		name, value, _ := strings.Cut(a, "=")
		os.Setenv(name, value)
	}
	return replaceProcess(command, append([]string{"go"}, args...), os.Environ())
}

// printEnvironment prints what goCommand sets, as shell commands.
func printEnvironment(args []string) error {
	if len(args) > 0 {
		return printUsage(envUsage, args[0] == "-h" || args[0] == "--help")
	}
	command, err := findGo("env")
	if err != nil {
		return err
	}
	assignments, err := goEnvironment(command, injectMode())
	if err != nil {
		return fmt.Errorf("inject env: %w", err)
	}
	for _, a := range assignments {
		name, value, _ := strings.Cut(a, "=")
		fmt.Printf("export %s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	return nil
}

// findGo returns the go command on PATH, for a command of inject.
func findGo(command string) (string, error) {
	name, err := exec.LookPath("go")
	if err != nil {
		return "", fmt.Errorf("inject %s: there is no go command on PATH: install Go from https://go.dev/dl/", command)
	}
	return name, nil
}

// injectMode returns the setting HMETRICS_INJECT: auto, require or off.
func injectMode() string {
	mode := strings.TrimSpace(os.Getenv("HMETRICS_INJECT"))
	switch mode {
	case "require", "off":
		return mode
	case "", "auto":
	default:
		fmt.Fprintf(os.Stderr, "hmetrics: HMETRICS_INJECT is %q. It takes auto, require or off; using auto.\n", mode)
	}
	return "auto"
}

// goEnvironment returns the variables that make a go command link the agent, or none if
// the mode is off.
func goEnvironment(command, mode string) ([]string, error) {
	if mode == "off" {
		return nil, nil
	}
	stage, err := stageSources(command)
	if err != nil {
		return nil, err
	}
	goflags := os.Getenv("GOFLAGS")
	if goflags == "" { // then the go command reads its configuration file
		out, err := exec.Command(command, "env", "GOFLAGS").Output()
		if err != nil {
			return nil, fmt.Errorf("reading GOFLAGS: go env: %w", err)
		}
		goflags = strings.TrimSpace(string(out))
	}
	toolexec := "-toolexec=" + filepath.Join(stage, "src", "bin", "toolexec")
	return []string{"GOFLAGS=" + strings.TrimSpace(withoutBuildpack(goflags)+" "+toolexec), "HMETRICS_STAGE=" + stage}, nil
}

// stageSources stages this command's own module in the user's cache directory, with
// bin/stage, and returns the stage. A released version is staged only once.
func stageSources(command string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("there is no cache directory: %w: set HOME or XDG_CACHE_HOME", err)
	}
	stages := filepath.Join(cache, "heroku-buildpack-go-metrics", "stages")
	if strings.ContainsAny(stages, " \t\r\n'\"") {
		return "", fmt.Errorf("the go command cannot take -toolexec with a space or a quote in its path: %s: set XDG_CACHE_HOME to another directory", stages)
	}
	packages := os.Getenv("HMETRICS_PACKAGES")
	version := ""
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Sum != "" {
		version = info.Main.Version
	}
	known := filepath.Join(stages, "versions", version+" "+strings.NewReplacer("/", ":", "\x00", "").Replace(packages))
	if was, err := os.ReadFile(known); version != "" && err == nil {
		stage, _, _ := strings.Cut(string(was), "\n")
		if string(was) == contents(stage) { // a cleaner of caches may have removed some of it
			now := time.Now()
			os.Chtimes(stage, now, now) // bin/stage removes others' stages that are a day old
			return stage, nil
		}
	}
	root, err := moduleRoot(command, version)
	if err != nil {
		return "", err
	}
	const remedy = "Free some space, or set XDG_CACHE_HOME to another directory"
	out, err := exec.Command("bash", filepath.Join(root, "bin", "stage"), stages, packages, remedy).Output()
	stage := strings.TrimSpace(string(out))
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("this machine has no bash, which stages the agent: install it")
	} else if err != nil && stage == "" {
		return "", fmt.Errorf("staging the agent: %w", err)
	} else if err != nil {
		return "", errors.New(stage)
	}
	if version != "" {
		os.MkdirAll(filepath.Dir(known), 0o777)
		os.WriteFile(known, []byte(contents(stage)), 0o666) // without it, the next run stages again
	}
	return stage, nil
}

// contents returns a stage's directory and the names of all that bin/stage put there, one a
// line.
func contents(stage string) string {
	text := stage + "\n"
	for _, name := range []string{"src", "packages", "hook"} {
		filepath.WalkDir(filepath.Join(stage, name), func(name string, _ fs.DirEntry, err error) error {
			if err == nil {
				text += name + "\n"
			}
			return nil
		})
	}
	return text
}

// moduleRoot returns the directory of this command's module: the one that it was compiled
// in, or the module cache's.
func moduleRoot(command, version string) (string, error) {
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Dir(filepath.Dir(file))
	if !exists(filepath.Join(root, "bin", "stage")) && version != "" {
		out, err := exec.Command(command, "mod", "download", "-json", program.Module+"@"+version).Output()
		var module struct{ Dir, Error string }
		if json.Unmarshal(out, &module) != nil || module.Dir == "" {
			return "", fmt.Errorf("fetching %s@%s: %v %s: check GOPROXY and the network", program.Module, version, err, module.Error)
		}
		root = module.Dir
	}
	for _, name := range []string{"bin/stage", "go.mod"} {
		if !exists(filepath.Join(root, filepath.FromSlash(name))) {
			return "", fmt.Errorf("there is no %s in %s: install this command by go install %s/inject@latest", name, root, program.Module)
		}
	}
	return root, nil
}
