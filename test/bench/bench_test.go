// Package bench measures what the buildpack costs, compared with plain builds and with what
// apps can import instead. README.md has the readings.
package bench

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/dsnet/try"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

// What is measured against what.
const (
	buildpack = "buildpack"
	plain     = "plain"   // as if the buildpack were absent
	library   = "library" // github.com/heroku/x/hmetrics, imported by hand
	sdk       = "sdk"     // OpenTelemetry's SDK with contrib/runtime and otlpmetrichttp, by hand
	injectGo  = "inject"  // inject go, installed from the module, without bin/compile

	orchestrion = "orchestrion" // orchestrion go, without integrations
)

func open(b *testing.B) *workspace {
	w := openWorkspace(b.Context(), machine.CacheDir("bench"))
	b.Cleanup(w.close)
	return w
}

// report reports what both sides of a pair took, and what compares them.
func report(b *testing.B, unit string, ours, baseline took) {
	b.ReportMetric(0, "ns/op") // which is left out so
	b.ReportMetric(baseline.wall, "baseline-"+unit)
	b.ReportMetric(ours.wall, "buildpack-"+unit)
	b.ReportMetric(ours.wall/baseline.wall, "ratio")
	b.ReportMetric(ours.wall-baseline.wall, "more-"+unit)
	if baseline.cpu > 0 {
		b.ReportMetric(ours.cpu/baseline.cpu, "cpu-ratio")
	}
}

// BenchmarkBuild measures cold builds, each from empty caches, and rebuilds over the caches
// that the last cold build has left.
func BenchmarkBuild(b *testing.B) {
	w, ctx := open(b), b.Context()
	for _, app := range []shape{webApp, twentyApps, orchestrionApp} {
		dir, builders := w.dir("builds"), map[string]*builder{}
		pair := func(name, side string, c *change) {
			n := 0
			b.Run(app.name+"/"+name, func(b *testing.B) {
				sides, took := []string{side, plain}, map[string]took{}
				if n++; n%2 == 0 {
					slices.Reverse(sides)
				}
				for _, side := range sides {
					if c == nil || builders[side] == nil {
						herokugo.RemoveAll(filepath.Join(dir, side))
						builders[side] = w.newBuilder(ctx, side, w.generate(ctx, app), dir)
						took[side] = w.install(ctx, builders[side])
					}
					if c != nil {
						took[side] = w.rebuild(ctx, *c, *builders[side], n)
					}
				}
				report(b, "sec", took[side], took[plain])
			})
		}
		switch app.name {
		case webApp.name:
			pair("cold", buildpack, nil)
			pair("inject", injectGo, &change{})
			for _, c := range changes {
				pair(c.name, buildpack, &c)
			}
		case twentyApps.name:
			pair("cold", buildpack, nil)
		case orchestrionApp.name:
			pair("cold", orchestrion, nil)
			pair("nochange", orchestrion, &change{})
		}
	}
}

// A change is made between builds over the same caches.
type change struct {
	name   string
	edit   bool // of a constant in main
	deploy bool // with a new build directory and a new directory of the buildpack, as on Heroku

	// Of a deploy: HMETRICS_PACKAGES, and the buildpack's version if it is another. Repeated n
	// times, each is one that no build had before.
	packages, version string
}

var changes = []change{
	{name: "nochange"},
	{name: "edit", edit: true},
	{name: "redeploy", deploy: true},
	{name: "setting", deploy: true, packages: " ./..."},
	{name: "update", deploy: true, version: "9"},
}

// rebuild makes a change for the n-th time, and builds.
func (w *workspace) rebuild(ctx context.Context, c change, b builder, n int) took {
	if c.edit {
		edit(b.app, n)
		defer edit(b.app, 0)
	}
	if c.deploy {
		dir := w.dir("redeploy")
		defer herokugo.RemoveAll(dir)
		from := b.app
		b.app = filepath.Join(dir, "app")
		try.E(os.CopyFS(b.app, os.DirFS(from)))
		if b.side == buildpack {
			w.deploy(ctx, &b, strings.Repeat(c.packages, n), strings.Repeat(c.version, n))
		}
	}
	return w.install(ctx, &b)
}
