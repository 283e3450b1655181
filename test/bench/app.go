package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

// What apps are generated of.
//
//go:embed testdata/app.txtar
var sources []byte

// An app is a generated program, the same files each time.
type app struct {
	name string
	dir  string
	main string // the name of its first binary
}

// A shape says what app to generate.
type shape struct {
	name     string
	packages int      // besides the standard library, main packages not counted
	mains    int      // programs that serve the same, 0 for the worker
	extras   []string // sources that are added to each program
	requires []string // modules: MODULE@VERSION, or DIR MODULE for the version in test/DIR/go.mod
}

// framework is how many packages github.com/gin-gonic/gin consists of.
const (
	gin       = "gin.go"
	framework = 49
)

var (
	workerApp = shape{name: "worker"}
	serveApp  = shape{name: "serve", packages: 1, mains: 1}
	webApp    = web("web", framework+1, 1)
	// Both sides have the versions of gin's modules that the SDK needs.
	otlpApp = shape{name: "otlp", packages: framework + 1, mains: 1, extras: []string{gin}, requires: append(slices.Clone(webApp.requires),
		"otlp go.opentelemetry.io/contrib/instrumentation/runtime", "otlp go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp", "otlp go.opentelemetry.io/otel/sdk/metric")}
)

// web is the shape of a web app.
func web(name string, packages, mains int) shape {
	return shape{name, packages, mains, []string{gin}, []string{"github.com/gin-gonic/gin@v1.8.2", "peer github.com/heroku/x"}}
}

// with is the shape of the app as a side of a row has it, but for the buildpack.
func (s shape) with(side string) shape {
	switch side {
	case library, client, sdk:
		s.name, s.extras = s.name+"-"+side, append(slices.Clone(s.extras), side+".go")
	case pinned, orchestrion: // as it must depend on it to be built by it
		s.name, s.requires = s.name+"-"+pinned, append(slices.Clone(s.requires), orchestrionModule)
	}
	return s
}

// generate writes an app and completes its go.mod and go.sum.
func (w *workspace) generate(ctx context.Context, s shape) app {
	if a, ok := w.apps[s.name]; ok {
		return a
	}
	a := app{name: s.name, dir: filepath.Join(w.tmp, "apps", s.name), main: "web01"}
	files := map[string]string{}
	for _, f := range txtar.Parse(sources).Files {
		files[f.Name] = string(f.Data)
	}
	program, own := files["serve.go"], s.packages
	if s.mains == 0 {
		a.main, program = "worker", files["worker.go"]
	}
	if slices.Contains(s.extras, gin) {
		own -= framework
	}
	out := map[string]string{"go.mod": "module example.com/app\n\ngo 1.24.0\n", "orchestrion.tool.go": files["orchestrion.tool.go"]}
	for i := range own {
		out[fmt.Sprintf("internal/p%03d/p%03d.go", i, i)] = packageSource(files["store.go"], files["kind.go"], i, own)
	}
	for i := range max(s.mains, 1) {
		name := a.main
		if i > 0 {
			name = fmt.Sprintf("web%02d", i+1)
		}
		out["cmd/"+name+"/main.go"] = strings.ReplaceAll(program, "NAME", name)
		for _, extra := range s.extras {
			out["cmd/"+name+"/"+extra] = files[extra]
		}
	}
	for name, text := range out {
		file := filepath.Join(a.dir, name)
		check(os.MkdirAll(filepath.Dir(file), 0o777))
		check(os.WriteFile(file, []byte(text), 0o666))
	}
	w.complete(ctx, a, s)
	w.apps[s.name] = a
	return a
}

// complete has the go command fill in go.mod and go.sum.
func (w *workspace) complete(ctx context.Context, a app, s shape) {
	get := []string{"get"}
	for _, module := range s.requires {
		if dir, name, found := strings.Cut(module, " "); found {
			module, _ = w.run(ctx, filepath.Join(w.checkout, "test", dir), w.environ, w.gocmd, "list", "-m", "-f", "{{.Path}}@{{.Version}}", name)
		}
		get = append(get, module)
	}
	if len(get) > 1 {
		w.run(ctx, a.dir, w.environ, w.gocmd, get...)
	}
	w.run(ctx, a.dir, w.environ, w.gocmd, "list", "-mod=mod", "-deps", "-tags", "heroku", "./...")
}

var edition = regexp.MustCompile(`const edition = ".*"`)

// edit changes one constant in the first main package. Each n makes another program of it.
func (a app) edit(n int) {
	file := filepath.Join(a.dir, "cmd", a.main, "main.go")
	check(os.WriteFile(file, edition.ReplaceAll(must(os.ReadFile(file)), fmt.Appendf(nil, `const edition = "%d"`, n)), 0o666))
}

// packageSource returns package i of own: two stores of records with handlers, and the
// two packages below it in a binary tree, as apps are layered.
func packageSource(store, kind string, i, own int) string {
	imports, handlers, register := "", "", ""
	for child := 2*i + 1; child <= min(2*i+2, own-1); child++ {
		imports += fmt.Sprintf("\t\"example.com/app/internal/p%03d\"\n", child)
		register += fmt.Sprintf("\tp%03d.Register(mux)\n", child)
	}
	for k := range 2 {
		store += strings.ReplaceAll(kind, "K", fmt.Sprint(k))
		handlers += fmt.Sprintf("\tmux.HandleFunc(\"/kNNN/%d\", new(Store%[1]d).serve)\n", k)
	}
	return strings.NewReplacer("IMPORTS", imports, "HANDLERS", handlers, "REGISTER", register, "NNN", fmt.Sprintf("%03d", i)).Replace(store)
}
