package main

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// What is measured against what. Each side of a pair has one of these names.
const (
	buildpack   = "buildpack"
	plain       = "plain"       // as if the buildpack were absent
	library     = "library"     // github.com/heroku/x/hmetrics, imported by hand
	client      = "client"      // net/http's client, imported by hand
	sdk         = "sdk"         // OpenTelemetry's SDK with contrib/runtime and otlpmetrichttp, by hand
	orchestrion = "orchestrion" // without integrations
	pinned      = "pinned"      // plain, with the go.mod that Orchestrion needs
)

// A row is a line of the table: a figure of the side a, beside that of the side b.
type row struct {
	name       string
	what       string
	app        shape
	a, b       string
	against    string // b in words
	unit       unit
	difference bool
	target     float64 // 0: there is none
}

// How the sides are compared: a ÷ b, or a − b.
const ratio, difference = false, true

// A unit is what readings of a row are kept in.
type unit string

const inSeconds, inBytes unit = "s", "B"

// A group are rows that are made of the same pair of things.
type group struct {
	measure func(ctx context.Context, w *workspace, p *pair)
	once    bool // whether the figure is the same each time
	rows    []row
}

// groups are the table, in its order.
var groups = []group{
	{rebuilds, false, []row{
		{"cold/web", "cold build of a web app (gin)", webApp, buildpack, plain, "plain go install", inSeconds, ratio, 1.04},
		{"nochange/web", "rebuild with no change", webApp, buildpack, plain, "plain go install", inSeconds, difference, 0.060},
		{"edit/web", "rebuild after one edit in main", webApp, buildpack, plain, "plain go install", inSeconds, difference, 0.250},
		{"first/web", "first build after adding the buildpack over a warm cache", webApp, buildpack, plain, "plain cold build", inSeconds, ratio, 1.05},
		{"redeploy/web", "the same sources deployed once more", webApp, buildpack, plain, "plain redeploy", inSeconds, difference, 0.2},
		{"setting/web", "the same, with another HMETRICS_PACKAGES", webApp, buildpack, plain, "plain redeploy", inSeconds, difference, 2.5},
		{"update/web", "the same, with another version of the buildpack", webApp, buildpack, plain, "plain redeploy", inSeconds, difference, 2.5},
	}},
	{coldBuilds, false, []row{{"cold/10", "cold build, 10 packages besides the standard library", shape{name: "app10", packages: 10, mains: 1}, buildpack, plain, "plain go install", inSeconds, ratio, 0}}},
	{coldBuilds, false, []row{{"cold/100", "cold build, 100 packages besides the standard library", web("app100", 100, 1), buildpack, plain, "plain go install", inSeconds, ratio, 1.05}}},
	{coldBuilds, false, []row{{"cold/1000", "cold build, 1,000 packages besides the standard library", web("app1000", 1000, 1), buildpack, plain, "plain go install", inSeconds, ratio, 1.02}}},
	{coldBuilds, false, []row{{"mains/5", "5 main packages in one go install, cold", web("mains5", framework+1, 5), buildpack, plain, "plain go install", inSeconds, ratio, 0}}},
	{coldBuilds, false, []row{{"mains/20", "20 main packages in one go install, cold", web("mains20", framework+1, 20), buildpack, plain, "plain go install", inSeconds, ratio, 1.06}}},
	{steps, false, []row{{"step", "bin/toolexec on a step that is not ours", shape{}, buildpack, plain, "exec of the tool", inSeconds, difference, 0.0015}}},
	{staging, false, []row{{"compile", "bin/compile, on every deploy", shape{}, buildpack, plain, "nothing", inSeconds, difference, 0}}},
	{slugs, true, []row{
		{"slug/web", "slug growth, web app", webApp, buildpack, library, "growth by heroku/x/hmetrics", inBytes, ratio, 1.10},
		{"slug/worker", "slug growth, program without net/http", workerApp, buildpack, client, "growth by net/http's client", inBytes, ratio, 1.05},
	}},
	{starts, false, []row{
		{"start/web", "start-up with the flag off, web app", webApp, buildpack, plain, "plain binary", inSeconds, difference, 50e-6},
		{"start/worker", "start-up with the flag off, program without net/http", workerApp, buildpack, client, "the program importing net/http", inSeconds, difference, 50e-6},
	}},
	{idle, false, []row{
		{"rss", "resident memory with the flag on, idle", webApp, buildpack, library, "heroku/x/hmetrics", inBytes, ratio, 1.02},
		{"cpu", "CPU time per report: sample, encode, deliver to loopback", webApp, buildpack, library, "heroku/x/hmetrics", inSeconds, ratio, 0.8},
	}},
	{coldBuilds, false, []row{{"cold/otlp", "OTLP: cold build of a web app", otlpApp, buildpack, sdk, "OpenTelemetry's SDK by hand", inSeconds, ratio, 0}}},
	{slugs, true, []row{{"slug/otlp", "OTLP: slug growth, web app", otlpApp, buildpack, sdk, "growth by the SDK", inBytes, ratio, 1.0 / 15}}},
	{starts, false, []row{{"start/otlp", "OTLP: start-up with an endpoint set", otlpApp, buildpack, sdk, "the SDK", inSeconds, difference, 0}}},
	{idle, false, []row{
		{"rss/otlp", "OTLP: resident memory, idle", otlpApp, buildpack, sdk, "the SDK", inBytes, ratio, 0},
		{"cpu/otlp", "OTLP: CPU time per export to loopback", otlpApp, buildpack, sdk, "the SDK", inSeconds, ratio, 0},
	}},
}

func rows() (all []row) {
	for _, g := range groups {
		all = append(all, g.rows...)
	}
	return all
}

// canBeOrchestrion says whether Orchestrion can do the same.
func (r row) canBeOrchestrion() bool { return r.against == "plain go install" }

// orchestrion returns the row of Orchestrion that is shown beside r.
func (r row) orchestrion() row {
	r.name, r.a, r.b, r.target = r.name+"/orchestrion", orchestrion, pinned, 0
	return r
}

func (r row) compared(a, b float64) float64 {
	if r.difference {
		return a - b
	}
	return a / b
}

// verdict shows the target, and whether it is missed.
func (r row) verdict(s summary) (words string, missed bool) {
	switch {
	case r.target == 0:
		return "", false
	case s.mid > r.target:
		return "≤ " + r.shown(r.target) + ": missed", true
	}
	return "≤ " + r.shown(r.target) + ": met", false
}

// shown shows what compares the two sides.
func (r row) shown(v float64) string {
	switch {
	case !r.difference:
		return fmt.Sprintf("%.3f", v)
	case v < 0:
		return "−" + r.unit.show(-v)
	}
	return "+" + r.unit.show(v)
}

// show shows a reading in words of three digits or so.
func (u unit) show(v float64) string {
	switch {
	case u == inBytes:
		return fmt.Sprintf("%.0f KB", v/1e3)
	case math.Abs(v) >= 0.9995:
		return fmt.Sprintf("%.2f s", v)
	case math.Abs(v) >= 0.9995e-3:
		return fmt.Sprintf("%.3g ms", v*1e3)
	}
	return fmt.Sprintf("%.3g µs", v*1e6)
}

// A pair takes one reading of each side of the rows of a group that were asked for.
type pair struct {
	group
	names   []string
	n       int // from 1
	journal *journal
	say     func(format string, args ...any)
}

func (p *pair) wants(name string) bool { return slices.Contains(p.names, name) }

// wanted are the rows of the group that were asked for.
func (p *pair) wanted() []row {
	return slices.DeleteFunc(slices.Clone(p.rows), func(r row) bool { return !p.wants(r.name) })
}

// took is what a process and those that it started took, in seconds. Where bytes are
// measured, wall is bytes.
type took struct{ wall, cpu float64 }

// add takes the reading of a side, if its row was asked for.
func (p *pair) add(r row, side string, t took) {
	if side == pinned || side == orchestrion {
		r = r.orchestrion()
	}
	if p.wants(r.name) {
		p.say("%s  %s: %s", r.name, side, r.unit.show(t.wall))
		check(p.journal.add(reading{Row: r.name, Pair: p.n, Side: side, Unit: r.unit, Value: t.wall, CPU: t.cpu}))
	}
}
