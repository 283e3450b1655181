package main

import (
	"context"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dsnet/try"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
)

// measureBuilds measures cold builds, each side's from empty caches, and what is built over
// the caches that they leave. In every other pair the sides are in the other order.
func measureBuilds(ctx context.Context, m *measurement) {
	dir := m.dir("pair")
	defer herokugo.RemoveAll(dir)
	var builders []*builder
	of := map[string]*builder{} // by side
	for _, r := range m.rows {
		for _, side := range []string{r.a, r.b} {
			if of[side] == nil {
				of[side] = m.newBuilder(ctx, side, m.generate(ctx, r.app.with(side)), dir)
				builders = append(builders, of[side])
			}
		}
	}
	if m.n%2 == 0 {
		slices.Reverse(builders)
	}
	cold := map[string]took{}
	for _, b := range builders {
		log.Printf("building %s, %s, from an empty cache", filepath.Base(b.app), b.side)
		cold[b.side] = m.install(ctx, b)
	}
	for _, r := range m.rows {
		name, _, _ := strings.Cut(r.name, "/")
		if c, ok := changes[name]; ok {
			for n := range c.times {
				m.add(r, m.rebuild(ctx, c, *of[r.a], n+1), m.rebuild(ctx, c, *of[r.b], n+1))
			}
		} else {
			m.add(r, cold[r.a], cold[r.b])
		}
	}
}

// A change is made between builds over the same caches.
type change struct {
	times  int  // a short rebuild is repeated
	edit   bool // of a constant in main
	deploy bool // with a new build directory and a new directory of the buildpack, as on Heroku

	packages, version string // of a deploy: HMETRICS_PACKAGES; the buildpack's version, if it is another
}

var changes = map[string]change{
	"nochange": {times: 9},
	"inject":   {times: 9},
	"edit":     {times: 3, edit: true},
	"redeploy": {times: 1, deploy: true},
	"setting":  {times: 1, deploy: true, packages: "./..."},
	"update":   {times: 1, deploy: true, version: "99.0.1"},
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
			w.deploy(ctx, &b, c.packages, c.version)
		}
	}
	return w.install(ctx, &b)
}
