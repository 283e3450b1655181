package bench

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/dsnet/try"
	"github.com/rogpeppe/go-internal/txtar"
)

// What apps are generated of.
//
//go:embed testdata/app.txtar
var sources string

// A shape says what app to generate, the same files each time.
type shape struct {
	name   string
	mains  int      // programs that do the same
	extras []string // sources that are added to each program
	// modules that it requires: MODULE@VERSION, or DIR MODULE for the version in test/DIR/go.mod
	requires []string
}

const gin, serve = "gin", "serve"

var (
	workerApp  = shape{name: "worker", mains: 1}
	serveApp   = shape{name: "serve", mains: 1, extras: []string{serve}}
	webApp     = web("web", 1)
	twentyApps = web("mains20", 20)
	// It must depend on Orchestrion to be built by it.
	orchestrionApp = shape{name: "orchestrion", mains: 1, extras: webApp.extras, requires: append(slices.Clone(webApp.requires), orchestrionModule)}
	// Both sides have the versions of gin's modules that the SDK needs.
	otlpApp = shape{name: "otlp", mains: 1, extras: webApp.extras, requires: append(slices.Clone(webApp.requires),
		"otlp go.opentelemetry.io/contrib/instrumentation/runtime",
		"otlp go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp",
		"otlp go.opentelemetry.io/otel/sdk/metric")}
)

// web is the shape of a web app: gin's 49 packages, and one of its own.
func web(name string, mains int) shape {
	return shape{name, mains, []string{serve, gin}, []string{"github.com/gin-gonic/gin@v1.8.2", "peer github.com/heroku/x"}}
}

// with is the shape of the app as a side of a row has it, except for the buildpack.
func (s shape) with(side string) shape {
	if side == library || side == sdk {
		s.name, s.extras = s.name+"-"+side, append(slices.Clone(s.extras), side)
	}
	return s
}

// generate writes an app and has the go command fill in its go.mod and go.sum. It returns
// the app's directory.
func (w *workspace) generate(ctx context.Context, s shape) string {
	dir := filepath.Join(w.tmp, "apps", s.name)
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	var archive bytes.Buffer
	has := func(extra string) bool { return slices.Contains(s.extras, extra) }
	t := template.New("").Funcs(template.FuncMap{"has": has, "programs": func() int { return s.mains }})
	try.E(template.Must(t.Parse(sources)).Execute(&archive, nil))
	try.E(txtar.Write(txtar.Parse(archive.Bytes()), dir))
	get := []string{w.gocmd, "get"}
	for _, module := range s.requires {
		if in, name, found := strings.Cut(module, " "); found {
			module, _ = w.run(ctx, filepath.Join(w.checkout, "test", in), w.environ, w.gocmd, "list", "-m", "-f", "{{.Path}}@{{.Version}}", name)
		}
		get = append(get, module)
	}
	if s.requires != nil {
		w.run(ctx, dir, w.environ, get...)
	}
	return dir
}

var edition = regexp.MustCompile(`const edition = ".*"`)

// edit changes one constant in a main package of an app. Each n makes another program of it.
func edit(app string, n int) {
	file := try.E1(filepath.Glob(filepath.Join(app, "cmd", "*", "main.go")))[0]
	before := try.E1(os.ReadFile(file))
	try.E(os.WriteFile(file, edition.ReplaceAll(before, fmt.Appendf(nil, `const edition = "%d"`, n)), 0o666))
}
