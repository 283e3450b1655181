package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A stage is the directory that bin/compile fills and that everything else
// here works in. Its name is the injection ID: a hash of all that a link depends
// on, so that nothing in a stage is ever stale.
//
//	src/         sources of the agent and of what a step runs, with go.mod and go.sum
//	packages     HMETRICS_PACKAGES
//	inject-HOST  this command, built on first use for the build machine HOST
//	shaded/      the agent and its modules under import paths of their own, while
//	             they are compiled
//	listings/    where the go command keeps their archives, per build flags
type stage struct{ dir string }

func openStage(dir string) (stage, error) {
	if dir == "" {
		return stage{}, fmt.Errorf("HMETRICS_STAGE is not set: source the file export that bin/compile wrote")
	}
	if _, err := os.Stat(filepath.Join(dir, "src", "go.mod")); err != nil {
		return stage{}, fmt.Errorf("HMETRICS_STAGE names no stage: %w: run bin/compile again", err)
	}
	return stage{dir}, nil
}

// id returns the injection ID.
func (s stage) id() string { return filepath.Base(s.dir) }

func (s stage) path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// patterns returns the package patterns of HMETRICS_PACKAGES.
func (s stage) patterns() ([]string, error) {
	b, err := os.ReadFile(s.path("packages"))
	return strings.Fields(string(b)), err
}

// modules returns what the agent is made of in the form that importConfig.describe
// takes: the buildpack's own module, then those that its go.mod requires.
func (s stage) modules() ([]string, error) {
	version, err := s.version()
	if err != nil {
		return nil, err
	}
	mod, err := os.ReadFile(s.path("src", "go.mod"))
	if err != nil {
		return nil, err
	}
	sums, err := os.ReadFile(s.path("src", "go.sum"))
	modules := []string{buildpackModule + "\t" + version}
	for _, line := range strings.Split(string(sums), "\n") {
		if f := strings.Fields(line); len(f) == 3 && strings.Contains(string(mod), f[0]+" "+f[1]) {
			modules = append(modules, strings.Join(f, "\t"))
		}
	}
	return modules, err
}

// version returns the buildpack's version as a module version.
func (s stage) version() (string, error) {
	b, err := os.ReadFile(s.path("src", "buildpack.toml"))
	_, rest, _ := strings.Cut(string(b), "\nversion = \"")
	version, _, ok := strings.Cut(rest, "\"")
	if err == nil && !ok {
		err = errors.New(`buildpack.toml: no line version = "…"`)
	}
	return "v" + version, err
}
