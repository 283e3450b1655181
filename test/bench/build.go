package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

// A builder is one way to build an app, with directories of its own.
type builder struct {
	side    string
	app     app
	env     []string
	gocache string
	bin     string
	cache   string // CACHE_DIR of the buildpack
	install func(ctx context.Context, b *builder) (took, error)
}

func (l *lab) newBuilder(ctx context.Context, side string, a app, dir string) (*builder, error) {
	b := &builder{
		side: side, app: a, env: l.environ,
		gocache: filepath.Join(dir, side, "gocache"),
		bin:     filepath.Join(dir, side, "bin"),
		install: func(ctx context.Context, b *builder) (took, error) {
			return l.install(ctx, b.app, b.env, b.gocache, b.bin)
		},
	}
	if err := os.MkdirAll(b.gocache, 0o777); err != nil {
		return nil, err
	}
	var err error
	switch side {
	case buildpack:
		// A new CACHE_DIR: the injector is built and the agent's modules are
		// shaded within the time of the first build.
		b.cache = filepath.Join(dir, side, "cache")
		if err := os.MkdirAll(b.cache, 0o777); err != nil {
			return nil, err
		}
		b.env, err = l.deploy(ctx, b.cache)
	case orchestrion:
		b.install, err = l.orchestrionInstall(ctx)
	}
	return b, err
}

// builds measures the build rows of one app. The rows after the first are made
// of the caches that the cold builds leave.
type builds struct {
	shape                       shape
	cold, nochange, edit, first string // rows, those after cold may be empty
	deploys                     []deploy
}

// A deploy is a later one of the same sources over the caches of a cold build, with
// a new build directory and a new directory of the buildpack, as on Heroku.
type deploy struct {
	row      string
	version  string // of the buildpack, if it is another one
	packages string // HMETRICS_PACKAGES
}

// How often a short rebuild is repeated within a pair: its reading is the median.
const (
	nochanges = 9
	edits     = 3
)

func (g builds) measure(ctx context.Context, l *lab, pair int, m *meter) error {
	a, err := l.generate(g.shape)
	if err != nil {
		return err
	}
	if m.size, err = l.count(ctx, a); err != nil {
		return err
	}
	dir, err := l.dir("pair")
	if err != nil {
		return err
	}
	defer discard(dir)

	var builders []*builder
	add := func(a app, sides ...string) error {
		for _, side := range sides {
			b, err := l.newBuilder(ctx, side, a, dir)
			if err != nil {
				return err
			}
			builders = append(builders, b)
		}
		return nil
	}
	deploys := false
	for _, d := range g.deploys {
		deploys = deploys || m.wants(d.row)
	}
	if deploys || m.wants(g.cold, g.nochange, g.edit, g.first) {
		if err := add(a, plain); err != nil {
			return err
		}
	}
	if deploys || m.wants(g.cold, g.nochange, g.edit) {
		if err := add(a, buildpack); err != nil {
			return err
		}
	}
	if m.wants(peer(g.cold), peer(g.nochange), peer(g.edit)) {
		p, err := l.pin(ctx, g.shape)
		if err != nil {
			return err
		}
		if err := add(p, pinned, orchestrion); err != nil {
			return err
		}
	}
	if pair%2 == 0 {
		for i, j := 0, len(builders)-1; i < j; i, j = i+1, j-1 {
			builders[i], builders[j] = builders[j], builders[i]
		}
	}

	var first *builder
	var coldPlain took
	for _, b := range builders {
		if !m.wants(rowOf(g.cold, b.side)) {
			l.say("building %s, %s, from an empty cache", b.app.name, b.side)
		}
		t, err := b.install(ctx, b)
		if err != nil {
			return err
		}
		m.emit(rowOf(g.cold, b.side), pair, b.side, t)
		if b.side == plain {
			first, coldPlain = b, t
		}
	}
	again := func(name string, times int, change func(b *builder, n int) error) error {
		if name == "" || !m.wants(name, peer(name)) {
			return nil
		}
		readings := map[string][]took{}
		for n := 1; n <= times; n++ {
			for i := range builders {
				b := builders[i]
				if n%2 == 0 {
					b = builders[len(builders)-1-i]
				}
				if err := change(b, n); err != nil {
					return err
				}
				t, err := b.install(ctx, b)
				if err != nil {
					return err
				}
				readings[b.side] = append(readings[b.side], t)
			}
		}
		for _, b := range builders {
			m.emit(rowOf(name, b.side), pair, b.side, middle(readings[b.side]))
		}
		return nil
	}
	if err := again(g.nochange, nochanges, func(*builder, int) error { return nil }); err != nil {
		return err
	}
	if err := again(g.edit, edits, func(b *builder, n int) error { return b.app.edit(n) }); err != nil {
		return err
	}
	if err := a.write(); err != nil {
		return err
	}
	for i, d := range g.deploys {
		if !m.wants(d.row) {
			continue
		}
		for j := range builders {
			b := builders[(i+j+pair)%len(builders)]
			t, err := l.redeploy(ctx, *b, d)
			if err != nil {
				return err
			}
			m.emit(d.row, pair, b.side, t)
		}
	}
	if g.first == "" || !m.wants(g.first) {
		return nil
	}
	added, err := l.newBuilder(ctx, buildpack, a, filepath.Join(dir, "added"))
	if err != nil {
		return err
	}
	added.gocache = first.gocache
	t, err := added.install(ctx, added)
	if err != nil {
		return err
	}
	m.emit(g.first, pair, plain, coldPlain)
	m.emit(g.first, pair, buildpack, t)
	return nil
}

// redeploy builds once more, in a new directory.
func (l *lab) redeploy(ctx context.Context, b builder, d deploy) (took, error) {
	dir, err := l.dir("redeploy")
	if err != nil {
		return took{}, err
	}
	defer discard(dir)
	b.app.dir = filepath.Join(dir, "app")
	if err := b.app.write(); err != nil {
		return took{}, err
	}
	if b.side == buildpack {
		copied := filepath.Join(dir, "buildpack")
		if err := machine.CopyBuildpack(copied, l.buildpack); err != nil {
			return took{}, err
		}
		if d.version != "" {
			name := filepath.Join(copied, "buildpack.toml")
			text, err := os.ReadFile(name)
			if err != nil {
				return took{}, err
			}
			text = regexp.MustCompile(`(?m)^version = ".*"$`).ReplaceAll(text, []byte(`version = "`+d.version+`"`))
			if err := os.WriteFile(name, text, 0o666); err != nil {
				return took{}, err
			}
		}
		if b.env, err = l.deployWith(ctx, copied, b.cache, d.packages); err != nil {
			return took{}, err
		}
	}
	return b.install(ctx, &b)
}

func middle(all []took) took {
	var wall, cpu []float64
	for _, t := range all {
		wall, cpu = append(wall, t.wall), append(cpu, t.cpu)
	}
	return took{median(wall), median(cpu)}
}

// peer is the row of Orchestrion beside a row of the buildpack.
func peer(name string) string {
	if name == "" {
		return ""
	}
	return name + "/orchestrion"
}

func rowOf(name, side string) string {
	if side == pinned || side == orchestrion {
		return peer(name)
	}
	return name
}

// staging measures bin/compile.
func staging(ctx context.Context, l *lab, pair int, m *meter) error {
	dir, err := l.dir("staging")
	if err != nil {
		return err
	}
	defer discard(dir)
	cache, env := filepath.Join(dir, "cache"), filepath.Join(dir, "env")
	for _, dir := range []string{cache, env} {
		if err := os.Mkdir(dir, 0o777); err != nil {
			return err
		}
	}
	var all []took
	for n := 0; n < nochanges; n++ {
		t, err := l.run(ctx, "/", l.environ, filepath.Join(l.buildpack, "bin", "compile"), dir, cache, env)
		if err != nil {
			return fmt.Errorf("running bin/compile: %w", err)
		}
		all = append(all, t)
	}
	m.emit("compile", pair, buildpack, middle(all))
	m.emit("compile", pair, plain, took{})
	return nil
}
