//go:build linux

package random

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path"
	"strings"
)

// An app is a random one, with its config vars and the place of the buildpack.
type app struct {
	files    map[string]string
	config   map[string]string
	last     bool              // the buildpack comes after the Go buildpack
	programs map[string]string // directory, from its module's root, by import path
	nested   string            // import path of the program of a module of its own, or ""
}

// pick returns one of the choices.
func pick[T any](r *rand.Rand, choices ...T) T { return choices[r.IntN(len(choices))] }

// makeApp returns a random app.
func makeApp(r *rand.Rand) *app {
	a := &app{files: map[string]string{}, config: map[string]string{}, programs: map[string]string{}, last: r.IntN(2) == 0}
	module := pick(r, "example.com/app", "plain", "Example.com/MyOrg/App/v2", "example.com/a.b_c~d")
	library := a.addModules(r, module)
	directories := []string{".", "cmd/web", "cmd/work_er", "cmd/a+b", "tools/x.go", "cmd/vendor"}
	r.Shuffle(len(directories), func(i, j int) { directories[i], directories[j] = directories[j], directories[i] })
	for _, directory := range directories[:1+r.IntN(3)] {
		a.addProgram(r, module, directory, library)
	}
	if r.IntN(10) == 0 {
		a.files["cmd/broken/main.go"] = "package main\n\nfunc main() { undefined() }\n"
	}
	a.addHook(r)
	a.config["HMETRICS_INJECT"] = pick(r, "", "auto", "auto", "require", "require", "off")
	a.config["HMETRICS_PACKAGES"] = pick(r, "", "", "", "./cmd/...", module+"/...", ".")
	flags := []string{"-trimpath", "-ldflags=-s", "'-ldflags=-w -X main.flavour=sour'", "-p=1", "-v", "-modcacherw", "-tags=other"}
	if !a.last { // there they keep the agent out
		flags = append(flags, "-gcflags=-N", "-cover")
	}
	if r.IntN(2) == 0 {
		a.config["GOFLAGS"] = strings.Join([]string{pick(r, flags...), pick(r, flags...)}, " ")
	}
	if r.IntN(4) == 0 {
		a.config["GO_LINKER_SYMBOL"], a.config["GO_LINKER_VALUE"] = "main.flavour", "bitter"
	}
	return a
}

// addModules writes the app's modules and returns the import path of a library of theirs.
func (a *app) addModules(r *rand.Rand, module string) (library string) {
	mod := "module " + module + "\n\ngo 1.22\n"
	where := "library"
	switch library = "example.com/library"; r.IntN(4) {
	case 0:
		library, where = module+"/internal/library", "internal/library"
	case 1:
		mod += "\nrequire " + library + " v0.0.0\n\nreplace " + library + " => ./library\n"
	case 2:
		where = "vendor/" + library
		mod += "\nrequire " + library + " v0.0.0\n\nreplace " + library + " => ./elsewhere\n"
		a.files["elsewhere/go.mod"] = "module " + library + "\n\ngo 1.22\n"
		a.files["vendor/modules.txt"] = "# " + library + " v0.0.0 => ./elsewhere\n## explicit; go 1.22\n" + library + "\n# " + library + " => ./elsewhere\n"
	case 3:
		mod += "\nrequire " + library + " v0.0.0\n"
		a.files["go.work"] = "go 1.22\n\nuse (\n\t. // the app\n\t\"./library\"\n)\n"
	}
	if where == "library" {
		a.files["library/go.mod"] = "module " + library + "\n\ngo 1.22\n"
	}
	a.files["go.mod"] = mod
	a.files[where+"/library.go"] = "package library\n\nfunc Name() string { return \"works\" }\n"
	return library
}

// addProgram adds a main package, which prints how it was built.
func (a *app) addProgram(r *rand.Rand, module, directory, library string) {
	a.programs[path.Join(module, directory)] = directory
	c, two := "", "2"
	if _, err := exec.LookPath("gcc"); err == nil && r.IntN(4) == 0 {
		c, two = "// static int two(void) { return 2; }\nimport \"C\"\n", "C.two()"
	}
	a.files[directory+"/main.go"] = fmt.Sprintf(`package main

%simport (
	"fmt"
	"os"
	_ %q

	library %q
)

var flavour = "sweet"

func main() { fmt.Println(library.Name(), flavour, tagged, %s, os.Args[1:]) }
`, c, pick(r, "encoding/json", "regexp", "crypto/sha256", "os/user", "net", "sync"), library, two)
	a.files[directory+"/tagged.go"] = "//go:build heroku\n\npackage main\n\nconst tagged = true\n"
	a.files[directory+"/untagged.go"] = "//go:build !heroku\n\npackage main\n\nconst tagged = false\n"
}

// addHook adds a hook that runs after the build, if any.
func (a *app) addHook(r *rand.Rand) {
	const copies = `set -e; for f in bin/*; do case $f in bin/go-*) ;; *) cp "$f" %s; esac; done`
	hook := pick(r, "", "", fmt.Sprintf(copies, `"bin/copy-${f##*/}"`), "go generate ./...", "nested",
		"for p in $(go list -f '{{if eq .Name \"main\"}}{{.ImportPath}}{{end}}' ./... | head -n 1); do go run $p -race x.go >printed 2>&1; done")
	if !a.last && r.IntN(4) == 0 { // there only bin is looked at
		hook = "mkdir out; " + fmt.Sprintf(copies, "out")
	}
	for file := range a.files {
		if path.Base(file) == "main.go" {
			a.files[file] += "\n//go:generate sh -c \"go run . >generated.txt 2>&1\"\n"
		}
	}
	if hook == "nested" {
		a.nested = "example.com/nested"
		a.files["nested/go.mod"] = "module example.com/nested\n\ngo 1.22\n"
		a.files["nested/main.go"] = "package main\n\nfunc main() { println(\"nested\") }\n"
		hook = "cd nested && GOWORK=off go build -o ../bin/nested ."
	}
	if hook != "" {
		a.files["bin/go-post-compile"] = "#!/bin/sh\n" + hook + "\n"
	}
}

// selected reports whether HMETRICS_PACKAGES selects a program.
func (a *app) selected(program string) bool {
	directory := a.programs[program]
	if program == a.nested {
		directory = "."
	}
	switch pattern := a.config["HMETRICS_PACKAGES"]; {
	case pattern == "":
		return true
	case pattern == ".":
		return directory == "."
	case pattern == "./cmd/...":
		return strings.HasPrefix(directory, "cmd/")
	default:
		return strings.HasPrefix(program+"/", strings.TrimSuffix(pattern, "..."))
	}
}

// hasUnmatched reports whether HMETRICS_PACKAGES may match no program of a build.
func (a *app) hasUnmatched() bool {
	for program := range a.programs {
		if a.selected(program) {
			return a.nested != "" && !a.selected(a.nested)
		}
	}
	return true
}
