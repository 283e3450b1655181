package main

import (
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
//	shaded/      the agent and its modules under import paths of their own
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
	if os.IsNotExist(err) {
		return nil, nil
	}
	return strings.Fields(string(b)), err
}

// writeFile puts a file in place in one move, so that go commands which run at
// the same time see all of it or nothing.
func writeFile(name string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// version returns the buildpack's version as a module version.
func (s stage) version() (string, error) {
	const file, key = "buildpack.toml", "version = "
	b, err := os.ReadFile(s.path("src", file))
	if err != nil {
		return "", err
	}
	for _, line := range strings.Split(string(b), "\n") {
		if strings.HasPrefix(line, key) {
			return "v" + strings.Trim(line[len(key):], "\" "), nil
		}
	}
	return "", fmt.Errorf("%s: no line %q", file, key+`"…"`)
}
