// Package program decides which programs of a build get the agent: which belong to the app,
// which are eligible, and what else in them reports.
package program

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"strings"
)

// A Program is a main package that is being linked, or already linked.
type Program struct {
	Path     string // its import path, or CommandLineArguments
	Module   string // path of its module, "" if it has none
	Relative string // its directory from the module's root, as ./cmd/web
	Own      bool   // it belongs to the app: to a main module
}

// CommandLineArguments is the path of a program that was built from a list of files.
const CommandLineArguments = "command-line-arguments"

// Of returns the program that build information describes. For its content, see setBuildInfo
// in cmd/go/internal/load. vendored says that the app's dependencies come from a vendor
// directory.
//
// Only the modules that a build was started in are the app's own. Their versions are unknown
// or come from the repository. The version of a dependency has a hash, except from a vendor
// directory, where it has no settings of the repository. A module that is replaced by a
// directory counts as the app's.
func Of(info *debug.BuildInfo, vendored bool) Program {
	p := Program{Path: info.Path, Module: info.Main.Path, Relative: "."}
	if p.Path != p.Module {
		p.Relative = "./" + strings.TrimPrefix(p.Path, p.Module+"/")
	}
	main := info.Main
	switch {
	case p.Path == CommandLineArguments:
		p.Own = true
	case p.Module == "": // GOPATH, or one of Go's own
		p.Own = !strings.HasPrefix(p.Path, "cmd/") && !strings.Contains("/"+p.Path, "/vendor/")
	case main.Replace != nil:
		p.Own = !vendored && (main.Replace.Version == "" || main.Replace.Version == "(devel)")
	default:
		p.Own = main.Sum == "" && (main.Version == "" || main.Version == "(devel)" || Setting(info, "vcs") != "")
	}
	return p
}

// In returns the program in a directory. Its module is that of the nearest go.mod.
func In(dir string) Program {
	p := Program{Path: CommandLineArguments, Relative: ".", Own: true}
	mod := above(dir, "go.mod")
	text, err := os.ReadFile(mod)
	if err != nil {
		return p
	}
	p.Module = ModulePath(string(text))
	if rel, _ := filepath.Rel(filepath.Dir(mod), dir); rel != "." {
		p.Relative = "./" + filepath.ToSlash(rel)
	}
	p.Path = path.Join(p.Module, p.Relative)
	return p
}

// Ineligible is a reason not to link the agent that is not a failure.
type Ineligible string

func (i Ineligible) Error() string { return string(i) }

// Eligible returns the reason why a program of the app, built for an operating system in a
// -buildmode, does not get the agent, or nil.
func (p Program) Eligible(goos, buildmode string, patterns []string) error {
	switch {
	case goos != "linux":
		return Ineligible("GOOS is " + goos)
	case buildmode != "" && buildmode != "exe" && buildmode != "pie":
		return Ineligible("-buildmode is " + buildmode)
	case !p.selected(patterns):
		return Ineligible("HMETRICS_PACKAGES does not select it")
	}
	return nil
}

// selected reports whether one of the patterns of HMETRICS_PACKAGES matches the program. A
// pattern is an import path, or a directory relative to the module's root that begins with a
// dot. In both, "..." matches any string (go help packages). Without patterns, every program
// is selected.
func (p Program) selected(patterns []string) bool {
	for _, pattern := range patterns {
		name := p.Path
		if strings.HasPrefix(pattern, ".") {
			name = p.Relative
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
	// The first match leaves the most to the other parts.
	for _, part := range parts[1:last] {
		i := strings.Index(name, part)
		if i < 0 {
			return false
		}
		name = name[i+len(part):]
	}
	return strings.HasSuffix(name, parts[last])
}

// Unmatched returns an error that names the patterns of HMETRICS_PACKAGES that match no
// program of the app's modules, or nil.
func Unmatched(patterns, modules []string) error {
	if len(patterns) == 0 {
		return nil
	}
	left := append([]string{}, patterns...)
	visit := func(name string) {
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || !isMain(name) {
			return
		}
		p := In(filepath.Dir(name))
		for i := len(left) - 1; i >= 0; i-- {
			if p.selected(left[i : i+1]) {
				left = append(left[:i], left[i+1:]...)
			}
		}
	}
	for _, dir := range modules {
		Walk(dir, visit)
	}
	if len(left) == 0 {
		return nil
	}
	return errors.New("HMETRICS_PACKAGES: no program of the app matches " + strings.Join(left, " "))
}

// Walk calls visit for every file in the tree of a module that the go command may read (go
// help packages).
func Walk(dir string, visit func(name string)) {
	filepath.Walk(dir, func(name string, info os.FileInfo, err error) error {
		base := filepath.Base(name)
		switch {
		case err != nil:
			return nil
		case info.Mode().IsRegular():
			visit(name)
		case info.IsDir() && name != dir && (base[0] == '.' || base[0] == '_' || base == "testdata" || base == "node_modules" ||
			base == "vendor" && exists(filepath.Join(name, "modules.txt"))):
			return filepath.SkipDir
		}
		return nil
	})
}

// isMain reports whether the package clause of a Go file names package main. A comment can
// mislead it; then a pattern that matches nothing goes unnoticed.
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

// MainModules returns the directories of the main modules of a build in a directory, and the
// file that determines them: the go.work of its workspace, or the nearest go.mod. gowork is
// the setting GOWORK.
func MainModules(dir, gowork string) (file string, modules []string) {
	if gowork == "" || gowork == "auto" {
		gowork = above(dir, "go.work")
	}
	if gowork != "" && gowork != "off" {
		return gowork, used(gowork)
	}
	mod := above(dir, "go.mod")
	if mod == "" {
		mod = filepath.Join(dir, "go.mod")
	}
	return mod, []string{filepath.Dir(mod)}
}

// above returns the nearest file with a name, in a directory or above it, or "".
func above(dir, name string) string {
	for {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && !info.IsDir() {
			return file
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

// used returns the directories that a go.work uses.
func used(gowork string) (modules []string) {
	text, _ := os.ReadFile(gowork)
	for _, dir := range directives(string(text), "use") {
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(filepath.Dir(gowork), dir)
		}
		modules = append(modules, dir)
	}
	return modules
}

// directives returns the first argument of each directive with a name in a go.mod or
// go.work, on a line of its own or in a block.
func directives(text, name string) (arguments []string) {
	block := ""
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "//") {
			continue
		}
		verb := block
		if verb == "" {
			end := strings.IndexAny(line+" ", " \t(\"`")
			verb, line = line[:end], strings.TrimSpace(line[end:])
		}
		switch argument := firstWord(line); {
		case argument == "":
		case argument == ")":
			block = ""
		case argument == "(":
			block = verb
		case verb == name:
			arguments = append(arguments, argument)
		}
	}
	return arguments
}

// firstWord returns the first word of a line, without its quotes, or "".
func firstWord(line string) string {
	if line != "" && strings.Contains("\"`", line[:1]) {
		word, _, _ := strings.Cut(line[1:], line[:1])
		return word
	}
	line, _, _ = strings.Cut(line, "//")
	return strings.Join(append(strings.Fields(line), "")[:1], "")
}

// IsVendored reports whether a build takes the app's dependencies from a vendor directory.
// mod is its flag -mod, and file what MainModules returns. Without the flag, the go command
// does so if the directory was written for the same mode (module or workspace) and the file
// asks for Go 1.14 or newer (go help modules).
func IsVendored(mod, file string) bool {
	if mod != "" {
		return mod == "vendor"
	}
	list, err := os.ReadFile(filepath.Join(filepath.Dir(file), "vendor", "modules.txt"))
	ofWorkspace := strings.HasPrefix(string(list), "## workspace")
	if err != nil || ofWorkspace != (filepath.Base(file) == "go.work") {
		return false
	}
	text, _ := os.ReadFile(file)
	var major, minor int
	fmt.Sscanf(strings.Join(directives(string(text), "go"), ""), "%d.%d", &major, &minor)
	return major > 1 || minor >= 14
}

// ModulePath returns the path that a go.mod declares.
func ModulePath(mod string) string { return strings.Join(directives(mod, "module"), "") }

// Setting returns a setting of the build information, or "".
func Setting(info *debug.BuildInfo, key string) string {
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
