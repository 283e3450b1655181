//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// A source is what has to be copied for an app to build elsewhere.
type source struct {
	app string // its directory
	// roots are the app's directory, the directories outside it that its
	// go.mod or go.work names, and a go.work above it.
	roots []string
	base  string // contains all roots
}

// findSource looks at the app in dir.
func (s *session) findSource(ctx context.Context, dir string) (source, error) {
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
	src := source{app: app, roots: []string{app}, base: app}
	out, err := s.goCommand(ctx, app, []string{"env", "GOWORK"})
	if err != nil {
		return source{}, err
	}
	modules := []string{app}
	if work := strings.TrimSpace(string(out)); work != "off" && work != "" && isAbove(filepath.Dir(work), app) {
		used, err := src.addWork(work)
		if err != nil {
			return source{}, err
		}
		modules = append(modules, used...)
	}
	for _, module := range modules {
		file := filepath.Join(module, "go.mod")
		b, err := os.ReadFile(file)
		if err != nil {
			continue // the go command will say so
		}
		mod, err := modfile.Parse(file, b, nil)
		if err != nil {
			return source{}, err
		}
		src.add(module)
		src.addReplacements(module, mod.Replace)
	}
	for _, root := range src.roots {
		for !isAbove(src.base, root) {
			src.base = filepath.Dir(src.base)
		}
	}
	return src, nil
}

// addWork adds a go.work, and returns the directories of the modules that it uses.
// If it does not use the app it is none of its business; but in the app's own root it
// is copied, and go may say what it thinks.
func (s *source) addWork(file string) (used []string, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	work, err := modfile.ParseWork(file, b, nil)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(file)
	for _, u := range work.Use {
		used = append(used, inDir(dir, u.Path))
	}
	if dir != s.app && !slices.Contains(used, s.app) {
		return nil, nil
	}
	s.roots = append(s.roots, file)
	if isFile(file + ".sum") {
		s.roots = append(s.roots, file+".sum")
	}
	s.addReplacements(dir, work.Replace)
	return used, nil
}

func (s *source) addReplacements(dir string, list []*modfile.Replace) {
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

// noGoMod says what to do about an app whose root has no go.mod.
func noGoMod(dir, app string) error {
	for parent := app; parent != filepath.Dir(parent); {
		if parent = filepath.Dir(parent); isFile(filepath.Join(parent, "go.mod")) {
			rel, _ := filepath.Rel(parent, app)
			return fmt.Errorf("%s has no go.mod, but %s has: try that with -config GO_INSTALL_PACKAGE_SPEC=./%s", dir, parent, filepath.ToSlash(rel))
		}
	}
	if below, _ := filepath.Glob(filepath.Join(app, "*", "go.mod")); len(below) > 0 {
		return fmt.Errorf("%s has no go.mod, but its directory %s has: Heroku builds the module in the root, so try that directory", dir, filepath.Base(filepath.Dir(below[0])))
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
