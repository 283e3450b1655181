package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

// coldBuilds measures builds from empty caches.
func coldBuilds(ctx context.Context, w *workspace, p *pair) {
	dir := w.dir("pair")
	defer herokugo.RemoveAll(dir)
	w.cold(ctx, p, dir)
}

// cold builds the app of the first row from empty caches in dir: both of its sides, and
// those of Orchestrion, as they were asked for, in the other order in every other pair.
// It returns what the side b took.
func (w *workspace) cold(ctx context.Context, p *pair, dir string) (builders []*builder, beside took) {
	r, of := p.rows[0], []row{}
	if len(p.wanted()) > 0 {
		of = append(of, r)
	}
	if len(p.names) > len(p.wanted()) {
		of = append(of, r.orchestrion())
	}
	for _, r := range of {
		for _, side := range []string{r.a, r.b} {
			builders = append(builders, w.newBuilder(ctx, side, w.generate(ctx, r.app.with(side)), dir))
		}
	}
	if p.n%2 == 0 {
		slices.Reverse(builders)
	}
	for _, b := range builders {
		w.say("building %s, %s, from an empty cache", b.app.name, b.side)
		t := w.install(ctx, b)
		p.add(r, b.side, t)
		if b.side == r.b {
			beside = t
		}
	}
	return builders, beside
}

// repeats is how often a short rebuild is repeated within a pair: its reading is the median.
const repeats = 9

// rebuilds measures cold builds, and what is built over the caches that they leave.
func rebuilds(ctx context.Context, w *workspace, p *pair) {
	dir := w.dir("pair")
	defer herokugo.RemoveAll(dir)
	builders, coldPlain := w.cold(ctx, p, dir)
	for _, r := range p.rows {
		switch r.name {
		case "nochange/web":
			w.again(ctx, p, builders, r, repeats, func(app, int) {})
		case "edit/web":
			w.again(ctx, p, builders, r, repeats/3, app.edit)
		case "redeploy/web":
			w.redeploy(ctx, p, builders, r, "", "")
		case "setting/web":
			w.redeploy(ctx, p, builders, r, "", "./...")
		case "update/web":
			w.redeploy(ctx, p, builders, r, "99.0.1", "")
		case "first/web":
			if p.wants(r.name) {
				added := w.newBuilder(ctx, buildpack, builders[0].app, filepath.Join(dir, "added"))
				added.gocache = filepath.Join(dir, plain, "gocache")
				p.add(r, plain, coldPlain)
				p.add(r, buildpack, w.install(ctx, added))
			}
		}
	}
}

// again builds again and again, after a change.
func (w *workspace) again(ctx context.Context, p *pair, builders []*builder, r row, times int, change func(app, int)) {
	if !p.wants(r.name) && !p.wants(r.orchestrion().name) {
		return
	}
	readings := map[*builder][]took{}
	for n := range times {
		for _, b := range builders {
			change(b.app, n+1)
			readings[b] = append(readings[b], w.install(ctx, b))
		}
		slices.Reverse(builders)
	}
	for _, b := range builders {
		b.app.edit(0)
		p.add(r, b.side, middle(readings[b]))
	}
}

func middle(all []took) took {
	var wall, cpu []float64
	for _, t := range all {
		wall, cpu = append(wall, t.wall), append(cpu, t.cpu)
	}
	return took{median(wall), median(cpu)}
}

var versionLine = regexp.MustCompile(`(?m)^version = ".*"$`)

// redeploy deploys the same sources once more over the caches of a cold build, with a new
// build directory and a new directory of the buildpack, as on Heroku: of another version,
// if that is not empty, and with HMETRICS_PACKAGES.
func (w *workspace) redeploy(ctx context.Context, p *pair, builders []*builder, r row, version, packages string) {
	if !p.wants(r.name) {
		return
	}
	for _, of := range builders {
		b, dir := *of, w.dir("redeploy")
		defer herokugo.RemoveAll(dir)
		b.app.dir = filepath.Join(dir, "app")
		check(os.CopyFS(b.app.dir, os.DirFS(of.app.dir)))
		if b.side == buildpack {
			copied := filepath.Join(dir, "buildpack")
			check(machine.CopyBuildpack(copied, w.buildpack))
			if file := filepath.Join(copied, "buildpack.toml"); version != "" {
				check(os.WriteFile(file, versionLine.ReplaceAll(must(os.ReadFile(file)), []byte(`version = "`+version+`"`)), 0o666))
			}
			w.deploy(ctx, &b, copied, packages)
		}
		p.add(r, b.side, w.install(ctx, &b))
	}
}

// staging measures bin/compile.
func staging(ctx context.Context, w *workspace, p *pair) {
	dir := w.dir("staging")
	defer herokugo.RemoveAll(dir)
	var all []took
	for range repeats {
		_, t := w.run(ctx, "/", w.environ, filepath.Join(w.buildpack, "bin", "compile"), dir, filepath.Join(dir, "cache"), filepath.Join(dir, "env"))
		all = append(all, t)
	}
	p.add(p.rows[0], buildpack, middle(all))
	p.add(p.rows[0], plain, took{})
}
