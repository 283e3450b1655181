//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A source is what has to be copied for an app to build elsewhere.
type source struct {
	app string // its directory
	// roots are the app's directory, the directories outside it that its
	// go.mod or go.work names, and a go.work above it.
	roots []string
	base  string // contains all roots
}

// findSource looks at the app in dir. The function goCommand runs a go command
// in a directory and returns its standard output.
func findSource(ctx context.Context, dir string, goCommand func(ctx context.Context, dir string, args ...string) ([]byte, error)) (source, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return source{}, err
	}
	app, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return source{}, usageError{fmt.Errorf("opening the app: %w", err)}
	}
	if info, err := os.Stat(app); err != nil || !info.IsDir() {
		return source{}, usageError{fmt.Errorf("opening the app: %s is not a directory", dir)}
	}
	if !isFile(filepath.Join(app, "go.mod")) {
		return source{}, noGoMod(dir, app)
	}
	s := source{app: app, roots: []string{app}}

	work := ""
	if out, err := goCommand(ctx, app, "env", "GOWORK"); err != nil {
		return source{}, err
	} else if work = strings.TrimSpace(string(out)); work == "off" || work == "" || !isAbove(filepath.Dir(work), app) {
		work = ""
	}
	modules := []string{app}
	if work != "" {
		var file struct {
			Use     []struct{ DiskPath string }
			Replace []replacement
		}
		if err := readJSON(ctx, goCommand, &file, "work", work); err != nil {
			return source{}, err
		}
		var used []string
		for _, u := range file.Use {
			used = append(used, inDir(filepath.Dir(work), u.DiskPath))
		}
		// A go.work that does not use the app is none of its business; in
		// the app's own root it is copied, and go may say what it thinks.
		if filepath.Dir(work) == app || slices.Contains(used, app) {
			modules = append(modules, used...)
			s.roots = append(s.roots, work)
			if sum := strings.TrimSuffix(work, ".work") + ".work.sum"; isFile(sum) {
				s.roots = append(s.roots, sum)
			}
			s.addReplacements(filepath.Dir(work), file.Replace)
		}
	}
	for _, module := range modules {
		if !isFile(filepath.Join(module, "go.mod")) {
			continue // the go command will say so
		}
		var file struct{ Replace []replacement }
		if err := readJSON(ctx, goCommand, &file, "mod", filepath.Join(module, "go.mod")); err != nil {
			return source{}, err
		}
		s.add(module)
		s.addReplacements(module, file.Replace)
	}
	s.base = app
	for _, root := range s.roots {
		for !isAbove(s.base, root) {
			s.base = filepath.Dir(s.base)
		}
	}
	return s, nil
}

type replacement struct {
	New struct{ Path, Version string }
}

func (s *source) addReplacements(dir string, list []replacement) {
	for _, r := range list {
		// An absolute path stays as it is: it can be read where it is.
		if r.New.Version == "" && !filepath.IsAbs(r.New.Path) {
			s.add(inDir(dir, r.New.Path))
		}
	}
}

// add adds a directory to the roots unless it is not there.
func (s *source) add(dir string) {
	if real, err := filepath.EvalSymlinks(dir); err == nil && real == dir && !slices.Contains(s.roots, dir) {
		s.roots = append(s.roots, dir)
	}
}

func readJSON(ctx context.Context, goCommand func(context.Context, string, ...string) ([]byte, error), v any, kind, file string) error {
	out, err := goCommand(ctx, filepath.Dir(file), kind, "edit", "-json", file)
	if err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	return json.Unmarshal(out, v)
}

// noGoMod says what to do about an app whose root has no go.mod.
func noGoMod(dir, app string) error {
	for parent := filepath.Dir(app); ; parent = filepath.Dir(parent) {
		if isFile(filepath.Join(parent, "go.mod")) {
			rel, _ := filepath.Rel(parent, app)
			return fmt.Errorf("%s has no go.mod, but %s has: try that with -config GO_INSTALL_PACKAGE_SPEC=./%s", dir, parent, filepath.ToSlash(rel))
		}
		if parent == filepath.Dir(parent) {
			break
		}
	}
	entries, err := os.ReadDir(app)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if isFile(filepath.Join(app, e.Name(), "go.mod")) {
			return fmt.Errorf("%s has no go.mod, but its directory %s has: Heroku builds the module in the root, so try that directory", dir, e.Name())
		}
	}
	return errors.New(dir + " has no go.mod, so it is no Go app that Heroku builds: make one with 'go mod init' and 'go mod tidy'")
}

// inDir returns what path is to somebody in dir.
func inDir(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

func isAbove(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
