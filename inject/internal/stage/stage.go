// Package stage describes the directory in which the steps of a build find what they need.
package stage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/program"
)

// A Stage is the directory that bin/stage fills and all steps work in. Its name is the
// injection ID, a hash of everything that a link depends on, so nothing in it is ever stale.
//
//	src/        sources of the agent and of what a step runs, with go.mod and go.sum
//	packages    HMETRICS_PACKAGES
//	hook        the name of the hook in the build cache: a hash of src/inject/step/hook
//	step-HOST   command step, built on first use for the build machine HOST
//	shaded/     the agent and its modules under import paths of their own
//	listings/   where the go command keeps their archives, for each set of build flags
//	hooks/      archives of both hooks, for each compiler
type Stage struct{ dir string }

// Names in the work directory of inject rebuild, which HMETRICS_REBUILD names.
const (
	ReasonFile   = "reason"  // why a program could not get the agent
	LayeredCache = "gocache" // GOCACHE of its builds; removed with the directory
	CacheLink    = "cache"   // link to the GOCACHE that stays
)

// Open returns the stage in a directory.
func Open(dir string) (Stage, error) {
	if _, err := os.Stat(filepath.Join(dir, "src", "go.mod")); err != nil {
		return Stage{}, fmt.Errorf("build cache entry %s was deleted during the build: run the build again", dir)
	}
	return Stage{dir}, nil
}

// ID returns the injection ID.
func (s Stage) ID() string { return filepath.Base(s.dir) }

// Path returns the path of a file in the stage.
func (s Stage) Path(elem ...string) string {
	return filepath.Join(append([]string{s.dir}, elem...)...)
}

// Patterns returns the package patterns of HMETRICS_PACKAGES.
func (s Stage) Patterns() ([]string, error) {
	b, err := os.ReadFile(s.Path("packages"))
	return strings.Fields(string(b)), err
}

// Modules returns the agent's modules, "path\tversion\tsum" each: first the buildpack's own
// module, then those that its go.mod requires.
func (s Stage) Modules() ([]string, error) {
	version, err := s.Version()
	if err != nil {
		return nil, err
	}
	mod, err := os.ReadFile(s.Path("src", "go.mod"))
	if err != nil {
		return nil, err
	}
	sums, err := os.ReadFile(s.Path("src", "go.sum"))
	modules := []string{program.Module + "\t" + version}
	for _, line := range strings.Split(string(sums), "\n") {
		if f := strings.Fields(line); len(f) == 3 && strings.Contains(string(mod), f[0]+" "+f[1]) {
			modules = append(modules, strings.Join(f, "\t"))
		}
	}
	return modules, err
}

// Version returns the buildpack's version as a module version.
func (s Stage) Version() (string, error) {
	b, err := os.ReadFile(s.Path("src", "buildpack.toml"))
	_, rest, _ := strings.Cut(string(b), "\nversion = \"")
	version, _, ok := strings.Cut(rest, "\"")
	if err == nil && !ok {
		err = errors.New(`buildpack.toml: no line version = "…"`)
	}
	return "v" + version, err
}
