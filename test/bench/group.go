package main

import (
	"context"
	"fmt"
	"time"
)

// A group measures the rows that are made of the same pair of things.
type group struct {
	rows    []string
	each    time.Duration // about how long a pair takes on two cores, until one is seen
	once    bool          // whether the figure is the same each time
	measure func(ctx context.Context, l *lab, pair int, m *meter) error
}

func groups() []group {
	build := func(each time.Duration, b builds) group {
		g := group{each: each, measure: b.measure}
		for _, name := range []string{b.cold, b.nochange, b.edit} {
			if name != "" {
				g.rows = append(g.rows, name, peer(name))
			}
		}
		if b.first != "" {
			g.rows = append(g.rows, b.first)
		}
		for _, d := range b.deploys {
			g.rows = append(g.rows, d.row)
		}
		return g
	}
	return []group{
		{rows: []string{"step"}, each: 8 * time.Second, measure: steps},
		{rows: []string{"compile"}, each: 5 * time.Second, measure: staging},
		{rows: []string{"slug/web", "slug/worker"}, each: 4 * time.Minute, once: true, measure: slugs},
		{rows: []string{"start/web", "start/worker"}, each: 30 * time.Second, measure: starts},
		{rows: []string{"init/web", "init/worker"}, each: 8 * time.Second, measure: inits},
		{rows: []string{"rss", "cpu", "pauses"}, each: 65 * time.Second, measure: idle},
		{rows: []string{"latency/p99", "latency/p99.9"}, each: 45 * time.Second, measure: latency},
		build(4*time.Minute, builds{shape: webApp, cold: "cold/web", nochange: "nochange/web", edit: "edit/web", first: "first/web", deploys: []deploy{
			{row: "redeploy/web"}, {row: "setting/web", packages: "./..."}, {row: "update/web", version: "99.0.1"},
		}}),
		build(90*time.Second, builds{shape: shape{name: "app10", packages: 10, mains: 1}, cold: "cold/10"}),
		build(3*time.Minute, builds{shape: shape{name: "app100", packages: 100, framed: true, mains: 1}, cold: "cold/100"}),
		build(6*time.Minute, builds{shape: shape{name: "app1000", packages: 1000, framed: true, mains: 1}, cold: "cold/1000"}),
		build(3*time.Minute, builds{shape: mains(5), cold: "mains/5"}),
		build(4*time.Minute, builds{shape: mains(20), cold: "mains/20"}),
	}
}

// mains is the shape of the web app with n main packages.
func mains(n int) shape {
	s := webApp
	s.name, s.mains = fmt.Sprintf("mains%d", n), n
	return s
}

// A meter takes the readings of a group.
type meter struct {
	wanted map[string]bool
	size   int // of the app that is being measured, packages
	keep   func(reading) error
	failed error // the first error of keep
}

// wants reports whether one of the rows was asked for.
func (m *meter) wants(names ...string) bool {
	for _, name := range names {
		if m.wanted[name] {
			return true
		}
	}
	return false
}

func (m *meter) emit(name string, pair int, side string, t took) {
	r, ok := findRow(name)
	if !ok || !m.wanted[name] || m.failed != nil {
		return
	}
	m.failed = m.keep(reading{Row: name, Pair: pair, Side: side, Unit: r.unit, Value: t.wall, CPU: t.cpu, Size: m.size})
}
