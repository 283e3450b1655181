package main

import (
	"bufio"
	"errors"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"strings"
)

// A program is a main package that is, or is being, linked.
type program struct {
	path     string // its import path, or commandLineArguments
	module   string // path of its module, "" if it has none
	relative string // its directory from the module's root, as ./cmd/web
	own      bool   // the app's: of a main module
}

// commandLineArguments is the path of a program that was built from a list of
// files.
const commandLineArguments = "command-line-arguments"

// programOf returns the program that a binary's build information describes:
// setBuildInfo in cmd/go/internal/load tells what stands there. vendored says
// that the app's dependencies come from a vendor directory.
//
// Only the modules that a build was started in are the app's own. Their versions
// are unknown or come from the repository; that of a dependency comes with a
// hash, except out of a vendor directory, and then there is nothing of the
// repository. One that is replaced by a directory counts as the app's.
func programOf(info *debug.BuildInfo, vendored bool) program {
	p := program{path: info.Path, module: info.Main.Path, relative: "."}
	if p.path != p.module {
		p.relative = "./" + strings.TrimPrefix(p.path, p.module+"/")
	}
	main := info.Main
	switch {
	case p.path == commandLineArguments:
		p.own = true
	case p.module == "": // GOPATH, or one of Go's own
		p.own = !strings.HasPrefix(p.path, "cmd/") && !strings.Contains("/"+p.path, "/vendor/")
	case main.Replace != nil:
		p.own = !vendored && (main.Replace.Version == "" || main.Replace.Version == "(devel)")
	default:
		p.own = main.Sum == "" && (main.Version == "" || main.Version == "(devel)" || setting(info, "vcs") != "")
	}
	return p
}

// programIn returns the program in a directory, by the go.mod above it.
func programIn(dir string) program {
	p := program{path: commandLineArguments, relative: ".", own: true}
	for _, root := range parents(dir) {
		if b, err := os.ReadFile(filepath.Join(root, "go.mod")); err == nil {
			p.module = modulePath(string(b))
			if rel := filepath.ToSlash(strings.TrimPrefix(dir, root)); rel != "" {
				p.relative = "." + rel
			}
			p.path = path.Join(p.module, p.relative)
			break
		}
	}
	return p
}

// An ineligible program does not get the agent, for a reason that is no failure.
type ineligible string

func (i ineligible) Error() string { return string(i) }

// eligible returns the reason for which a program of the app, built for an
// operating system in a -buildmode, does not get the agent, or nil.
func (p program) eligible(goos, buildmode string, patterns []string) error {
	switch {
	case goos != "linux":
		return ineligible("GOOS is " + goos)
	case buildmode != "" && buildmode != "exe" && buildmode != "pie":
		return ineligible("-buildmode is " + buildmode)
	case !p.selected(patterns):
		return ineligible("HMETRICS_PACKAGES does not select it")
	}
	return nil
}

// selected reports whether one of the patterns of HMETRICS_PACKAGES matches the
// program: import paths, or directories from the module's root that begin with a
// dot, both with "..." for any string (go help packages). No pattern selects
// every program.
func (p program) selected(patterns []string) bool {
	for _, pattern := range patterns {
		name := p.path
		if strings.HasPrefix(pattern, ".") {
			name = p.relative
		}
		if matches(strings.TrimSuffix(pattern, "/"), name) {
			return true
		}
	}
	return len(patterns) == 0
}

// matches reports whether a pattern matches all of a name. "x/..." matches x too.
func matches(pattern, name string) bool {
	const wildcard = "..."
	if strings.HasSuffix(pattern, "/"+wildcard) && matches(strings.TrimSuffix(pattern, "/"+wildcard), name) {
		return true
	}
	parts := strings.Split(pattern, wildcard)
	last := len(parts) - 1
	if last == 0 {
		return pattern == name
	}
	if !strings.HasPrefix(name, parts[0]) {
		return false
	}
	name = name[len(parts[0]):]
	// The first place that fits leaves most to the parts after it.
	for _, part := range parts[1:last] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return strings.HasSuffix(name, parts[last])
}

// unmatched returns an error that names those of the patterns of HMETRICS_PACKAGES
// that match no program in the directory of an app, or nil.
func unmatched(patterns []string, app string) error {
	if len(patterns) == 0 {
		return nil
	}
	left := append([]string{}, patterns...)
	walkModule(app, func(name string) {
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || !isMain(name) {
			return
		}
		p := programIn(filepath.Dir(name))
		for i := len(left) - 1; i >= 0; i-- {
			if p.selected(left[i : i+1]) {
				left = append(left[:i], left[i+1:]...)
			}
		}
	})
	if len(left) == 0 {
		return nil
	}
	return errors.New("HMETRICS_PACKAGES: no program of the app matches " + strings.Join(left, " "))
}

// walkModule calls visit for every file in the tree of an app that the go command
// may look at (go help packages).
func walkModule(app string, visit func(name string)) {
	filepath.Walk(app, func(name string, info os.FileInfo, err error) error {
		base := filepath.Base(name)
		switch {
		case err != nil:
			return nil
		case info.Mode().IsRegular():
			visit(name)
		case info.IsDir() && name != app && (base[0] == '.' || base[0] == '_' || base == "testdata" || base == "node_modules" ||
			base == "vendor" && exists(filepath.Join(name, "modules.txt"))):
			return filepath.SkipDir
		}
		return nil
	})
}

// isMain reports whether the package clause of a Go file names package main. A
// comment can fool it, and then a pattern that matches nothing goes unnoticed.
func isMain(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if w := strings.Fields(lines.Text()); len(w) > 1 && w[0] == "package" {
			return strings.HasPrefix(w[1], "main") && (len(w[1]) == 4 || w[1][4] == ';' || w[1][4] == '/')
		}
	}
	return false
}

// appRoot returns the outermost directory with a go.mod that dir is in, or dir.
func appRoot(dir string) string {
	root := dir
	for _, d := range parents(dir) {
		if exists(filepath.Join(d, "go.mod")) {
			root = d
		}
	}
	return root
}

// parents returns a directory and those above it, the root last.
func parents(dir string) []string {
	dirs := []string{dir}
	for dir != filepath.Dir(dir) {
		dir = filepath.Dir(dir)
		dirs = append(dirs, dir)
	}
	return dirs
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

// setting returns a setting of the build information, or "".
func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
