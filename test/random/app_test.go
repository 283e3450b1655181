//go:build linux

package random

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path"
	"strings"
)

// An app is a random app, with its config vars and the position of the buildpack.
type app struct {
	files, config map[string]string
	last          bool              // the buildpack comes after the Go buildpack
	programs      map[string]string // directory, from its module's root, by import path
}

const nested = "example.com/nested" // a module of its own in some apps

// pick returns one of the choices.
func pick(r *rand.Rand, choices ...string) string { return choices[r.IntN(len(choices))] }

// makeApp returns a random app.
func makeApp(r *rand.Rand) *app {
	module := pick(r, "example.com/app", "plain", "Example.com/MyOrg/App/v2", "example.com/a.b_c~d")
	a := &app{files: map[string]string{}, last: r.IntN(2) == 0, programs: map[string]string{}}
	library := a.addModules(r, module)
	directories := []string{".", "cmd/web", "cmd/work_er", "cmd/a+b", "tools/x.go", "cmd/vendor"}
	for _, i := range r.Perm(len(directories))[:1+r.IntN(3)] {
		a.addProgram(r, path.Join(module, directories[i]), directories[i], library)
	}
	if r.IntN(10) == 0 {
		a.files["cmd/broken/main.go"] = "package main\n\nfunc main() { undefined() }\n"
	}
	a.addHook(r)
	a.config = map[string]string{
		"HMETRICS_INJECT":   pick(r, "", "auto", "auto", "require", "require", "off"),
		"HMETRICS_PACKAGES": pick(r, "", "", "", "./cmd/...", module+"/...", "."),
	}
	flags := []string{"-trimpath", "-ldflags=-s", "'-ldflags=-w -X main.flavour=sour'", "-p=1", "-buildvcs=false", "-modcacherw", "-tags=other"}
	if !a.last { // there they keep the agent out
		flags = append(flags, "-gcflags=-N", "-cover")
	}
	if r.IntN(2) == 0 {
		a.config["GOFLAGS"] = pick(r, flags...) + " " + pick(r, flags...)
	}
	return a
}

// addModules writes the app's modules and returns the import path of a library in them.
func (a *app) addModules(r *rand.Rand, module string) (library string) {
	mod := "module " + module + "\n\ngo 1.22\n"
	require, where := "\nrequire example.com/library v0.0.0\n", "library"
	switch library = "example.com/library"; r.IntN(4) {
	case 0:
		require, library, where = "", module+"/internal/library", "internal/library"
	case 1:
		require += "\nreplace example.com/library => ./library\n"
	case 2:
		require, where = require+"\nreplace example.com/library => ./elsewhere\n", "vendor/example.com/library"
		a.files["elsewhere/go.mod"] = "module example.com/library\n\ngo 1.22\n"
		a.files["vendor/modules.txt"] = "# example.com/library v0.0.0 => ./elsewhere\n## explicit; go 1.22\nexample.com/library\n# example.com/library => ./elsewhere\n"
	case 3:
		a.files["go.work"] = "go 1.22\n\nuse (\n\t. // the app\n\t\"./library\"\n)\n"
	}
	if where == "library" {
		a.files["library/go.mod"] = "module example.com/library\n\ngo 1.22\n"
	}
	a.files["go.mod"] = mod + require
	a.files[where+"/library.go"] = "package library\n\nfunc Name() string { return \"works\" }\n"
	return library
}

// addProgram adds a main package, which prints how it was built.
func (a *app) addProgram(r *rand.Rand, importPath, directory, library string) {
	a.programs[importPath] = directory
	c, two := "", "2"
	if _, err := exec.LookPath("gcc"); err == nil && r.IntN(4) == 0 {
		c, two = "// static int two(void) { return 2; }\nimport \"C\"\n", "C.two()"
	}
	a.files[path.Join(directory, "main.go")] = fmt.Sprintf(`package main

%simport (
	"fmt"
	"os"
	_ %q

	library %q
)

//go:generate sh -c "go run . generate >generated.txt 2>&1"

var flavour = "sweet"

func main() { fmt.Println(library.Name(), flavour, tagged, %s, os.Args[1:]) }
`, c, pick(r, "encoding/json", "regexp", "crypto/sha256", "os/user", "net", "sync"), library, two)
	a.files[path.Join(directory, "tagged.go")] = "//go:build heroku\n\npackage main\n\nconst tagged = true\n"
	a.files[path.Join(directory, "untagged.go")] = "//go:build !heroku\n\npackage main\n\nconst tagged = false\n"
}

// addHook adds a hook that runs after the build, if any.
func (a *app) addHook(r *rand.Rand) {
	const copies = `mkdir -p out; for f in bin/*; do case $f in bin/go-*) ;; *) cp "$f" %s; esac; done`
	hook := pick(r, "", "", fmt.Sprintf(copies, `"bin/copy-${f##*/}"`), "go generate ./...",
		`go run $(go list -f '{{if eq .Name "main"}}{{.ImportPath}}{{end}}' ./... | head -n 1) -race x.go >printed 2>&1`,
		"cd nested && GOWORK=off go build -o ../bin/nested .")
	if !a.last && r.IntN(4) == 0 { // there only bin is looked at
		hook = fmt.Sprintf(copies, "out")
	}
	if strings.Contains(hook, "nested") {
		a.programs[nested] = "."
		a.files["nested/go.mod"] = "module " + nested + "\n\ngo 1.22\n"
		a.files["nested/main.go"] = "package main\n\nfunc main() { println(\"nested\") }\n"
	}
	if hook != "" {
		a.files["bin/go-post-compile"] = "#!/bin/sh\n" + hook + "\n"
	}
}

// selected reports whether HMETRICS_PACKAGES selects a program.
func (a *app) selected(program string) bool {
	switch pattern, directory := a.config["HMETRICS_PACKAGES"], a.programs[program]; pattern {
	case "":
		return true
	case ".":
		return directory == "."
	case "./cmd/...":
		return strings.HasPrefix(directory, "cmd/")
	default:
		return strings.HasPrefix(program+"/", strings.TrimSuffix(pattern, "..."))
	}
}

// mayBeUnmatched reports whether one of the builds has no program that HMETRICS_PACKAGES
// selects.
func (a *app) mayBeUnmatched() bool {
	_, hasNested := a.programs[nested]
	for program := range a.programs {
		if program != nested && a.selected(program) {
			return hasNested && !a.selected(nested)
		}
	}
	return true
}
