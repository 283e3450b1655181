package main

import (
	"os"
	"path"
	"path/filepath"
	"strings"
)

// A mainPackage is a main package of the app.
type mainPackage struct {
	dir        string // absolute
	importPath string // as in an import declaration, even for one named by its files
	relative   string // directory from the module's root, as ./cmd/web
}

// locate finds the module around a main package's directory.
func locate(dir, importPath string) mainPackage {
	p := mainPackage{dir: dir, importPath: importPath}
	for root := dir; ; root = filepath.Dir(root) {
		if b, err := os.ReadFile(filepath.Join(root, "go.mod")); err == nil {
			rel, err := filepath.Rel(root, dir)
			if err != nil {
				return p
			}
			p.relative = "./" + filepath.ToSlash(rel)
			if rel == "." {
				p.relative = "."
			}
			if m := modulePath(string(b)); m != "" {
				p.importPath = path.Join(m, filepath.ToSlash(rel))
			}
			return p
		}
		if root == filepath.Dir(root) {
			return p
		}
	}
}

// modulePath returns the path that a go.mod declares.
func modulePath(mod string) string {
	for _, line := range strings.Split(mod, "\n") {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "module" {
			return strings.Trim(f[1], "\"`")
		}
	}
	return ""
}

// idle returns those of the patterns that select none of the main packages of
// the module that the go command works in, and the module's path.
func (d decision) idle(patterns, env []string) (idle []string, module string, err error) {
	root := d.Flags.Dir
	for !exists(filepath.Join(root, "go.mod")) {
		if root == filepath.Dir(root) {
			return nil, "", nil
		}
		root = filepath.Dir(root)
	}
	out, err := d.listApp(env, root, "{{if eq .Name \"main\"}}{{.Dir}}{{end}}", "./...")
	if err != nil {
		return nil, "", err
	}
	dirs := strings.Split(out, "\n")
	for _, pattern := range patterns {
		used := false
		for _, dir := range dirs {
			used = used || locate(dir, "").selected([]string{pattern})
		}
		if !used {
			idle = append(idle, pattern)
		}
	}
	return idle, locate(root, "").importPath, nil
}

// vendored reports whether the package lies in a module's vendor directory. Go
// keeps no go.mod of the modules there.
func (p mainPackage) vendored() bool {
	name := p.relative
	if name == "" {
		name = p.dir
	}
	return strings.Contains(name+"/", "/vendor/")
}

// selected reports whether one of the patterns of HMETRICS_PACKAGES matches the
// package: import paths, or directories from the module's root that begin with
// a dot, both with "..." for any string (go help packages). No pattern selects
// every package.
func (p mainPackage) selected(patterns []string) bool {
	for _, pattern := range patterns {
		name := p.importPath
		if strings.HasPrefix(pattern, ".") {
			name = p.relative
		}
		if matchPattern(strings.TrimSuffix(pattern, "/"), name) {
			return true
		}
	}
	return len(patterns) == 0
}

// matchPattern reports whether a pattern matches all of a name. "x/..." matches
// x too.
func matchPattern(pattern, name string) bool {
	const wildcard = "..."
	i := strings.Index(pattern, wildcard)
	switch {
	case i < 0:
		return pattern == name
	case pattern == name+"/"+wildcard:
		return true
	case !strings.HasPrefix(name, pattern[:i]):
		return false
	}
	pattern, name = pattern[i+len(wildcard):], name[i:]
	for !matchPattern(pattern, name) {
		if name == "" {
			return false
		}
		name = name[1:]
	}
	return true
}

// within reports whether a path lies in a directory.
func within(name, dir string) bool {
	return dir != "" && (name == dir || strings.HasPrefix(name, strings.TrimSuffix(dir, "/")+"/"))
}
