package main

import (
	"fmt"
	"math"
	"strings"
)

// What is measured against what. Each side of a pair has one of these names.
const (
	buildpack   = "buildpack"
	plain       = "plain"       // as if the buildpack were absent
	library     = "library"     // github.com/heroku/x/hmetrics, imported by hand
	client      = "client"      // net/http's client, imported by hand
	orchestrion = "orchestrion" // without integrations
	pinned      = "pinned"      // plain, with the go.mod that Orchestrion needs
	flagOff     = "flag off"
)

// A row is a line of the table: one figure, of the side a beside the side b.
type row struct {
	name    string
	what    string
	a, b    string
	against string // b in words
	unit    unit
	compare comparison
	target  float64 // NaN: there is none
}

var none = math.NaN()

type comparison int

const (
	ratio      comparison = iota // a ÷ b
	difference                   // a − b
	noise                        // a ÷ b, which is to hold 1 within its spread
)

func (c comparison) of(a, b float64) float64 {
	if c == difference {
		return a - b
	}
	return a / b
}

// A unit is what readings of a row are kept in.
type unit string

const (
	inSeconds unit = "s"
	inBytes   unit = "B"
	inPauses  unit = "pauses"
)

// rows are the table, in its order.
var rows = []row{
	{"cold/web", "cold build of a web app (gin)", buildpack, plain, "plain go install", inSeconds, ratio, 1.04},
	{"cold/web/orchestrion", "the same, with Orchestrion", orchestrion, pinned, "plain go install", inSeconds, ratio, none},
	{"cold/10", "cold build, 10 packages besides the standard library", buildpack, plain, "plain go install", inSeconds, ratio, none},
	{"cold/10/orchestrion", "the same, with Orchestrion", orchestrion, pinned, "plain go install", inSeconds, ratio, none},
	{"cold/100", "cold build, 100 packages besides the standard library", buildpack, plain, "plain go install", inSeconds, ratio, 1.05},
	{"cold/100/orchestrion", "the same, with Orchestrion", orchestrion, pinned, "plain go install", inSeconds, ratio, none},
	{"cold/1000", "cold build, 1,000 packages besides the standard library", buildpack, plain, "plain go install", inSeconds, ratio, 1.02},
	{"cold/1000/orchestrion", "the same, with Orchestrion", orchestrion, pinned, "plain go install", inSeconds, ratio, none},
	{"nochange/web", "rebuild with no change", buildpack, plain, "plain go install", inSeconds, difference, 0.060},
	{"nochange/web/orchestrion", "the same, with Orchestrion", orchestrion, pinned, "plain go install", inSeconds, difference, none},
	{"edit/web", "rebuild after one edit in main", buildpack, plain, "plain go install", inSeconds, difference, 0.250},
	{"edit/web/orchestrion", "the same, with Orchestrion", orchestrion, pinned, "plain go install", inSeconds, difference, none},
	{"first/web", "first build after adding the buildpack over a warm cache", buildpack, plain, "plain cold build", inSeconds, ratio, 1.05},
	{"redeploy/web", "the same sources deployed once more", buildpack, plain, "plain redeploy", inSeconds, difference, 0.2},
	{"setting/web", "the same, with another HMETRICS_PACKAGES", buildpack, plain, "plain redeploy", inSeconds, difference, 2.5},
	{"update/web", "the same, with another version of the buildpack", buildpack, plain, "plain redeploy", inSeconds, difference, 2.5},
	{"mains/5", "5 main packages in one go install, cold", buildpack, plain, "plain go install", inSeconds, ratio, none},
	{"mains/5/orchestrion", "the same, with Orchestrion", orchestrion, pinned, "plain go install", inSeconds, ratio, none},
	{"mains/20", "20 main packages in one go install, cold", buildpack, plain, "plain go install", inSeconds, ratio, 1.06},
	{"mains/20/orchestrion", "the same, with Orchestrion", orchestrion, pinned, "plain go install", inSeconds, ratio, none},
	{"step", "bin/toolexec on a step that is not ours", buildpack, plain, "exec of the tool", inSeconds, difference, 0.0015},
	{"compile", "bin/compile, on every deploy", buildpack, plain, "nothing", inSeconds, difference, none},
	{"slug/web", "slug growth, web app", buildpack, library, "growth by heroku/x/hmetrics", inBytes, ratio, 1.10},
	{"slug/worker", "slug growth, program without net/http", buildpack, client, "growth by net/http's client", inBytes, ratio, 1.05},
	{"start/web", "start-up with the flag off, web app", buildpack, plain, "plain binary", inSeconds, difference, 50e-6},
	{"start/worker", "start-up with the flag off, program without net/http", buildpack, client, "the program importing net/http", inSeconds, difference, 50e-6},
	{"init/web", "of that, package initialisation, web app", buildpack, plain, "plain binary", inSeconds, difference, none},
	{"init/worker", "of that, package initialisation, without net/http", buildpack, client, "the program importing net/http", inSeconds, difference, none},
	{"rss", "resident memory with the flag on, idle", buildpack, library, "heroku/x/hmetrics", inBytes, ratio, 1.02},
	{"cpu", "CPU time per report: sample, encode, deliver to loopback", buildpack, library, "heroku/x/hmetrics", inSeconds, ratio, 0.8},
	{"latency/p99", "p99 latency under load, flag on, 1 s interval", buildpack, flagOff, "flag off", inSeconds, noise, none},
	{"latency/p99.9", "p99.9 latency under load, flag on, 1 s interval", buildpack, flagOff, "flag off", inSeconds, noise, none},
	{"pauses", "stop-the-world pauses per report", buildpack, library, "heroku/x/hmetrics", inPauses, difference, none},
}

func findRow(name string) (row, bool) {
	for _, r := range rows {
		if r.name == name {
			return r, true
		}
	}
	return row{}, false
}

// isOrchestrion reports whether the row measures the peer.
func (r row) isOrchestrion() bool { return strings.HasSuffix(r.name, "/orchestrion") }

// verdict says whether the target is met.
func (r row) verdict(s summary) string {
	switch {
	case s.pairs == 0:
		return "not measured"
	case r.name == "pauses":
		return met(s.a == 0)
	case r.compare == noise && s.pairs < 5:
		return "too few pairs"
	case r.compare == noise:
		return met(s.low <= 1)
	case math.IsNaN(r.target):
		return ""
	}
	return met(s.mid <= r.target)
}

func met(ok bool) string {
	if ok {
		return "met"
	}
	return "missed"
}

// goal shows the target.
func (r row) goal() string {
	switch {
	case r.name == "pauses":
		return "0"
	case r.compare == noise:
		return "within noise"
	case math.IsNaN(r.target):
		return ""
	}
	return "≤ " + r.shown(r.target)
}

// shown shows what compares the two sides.
func (r row) shown(v float64) string {
	if r.compare == difference {
		sign := "+"
		if v < 0 {
			sign, v = "−", -v
		}
		return sign + r.unit.show(v)
	}
	return fmt.Sprintf("%.3f", v)
}

// show shows a reading in words of three digits or so.
func (u unit) show(v float64) string {
	switch {
	case math.IsNaN(v):
		return "—"
	case u == inBytes:
		return fmt.Sprintf("%.0f KB", v/1e3)
	case u == inPauses:
		return fmt.Sprintf("%.3g", v)
	case math.Abs(v) >= 0.9995:
		return fmt.Sprintf("%.2f s", v)
	case math.Abs(v) >= 0.9995e-3:
		return fmt.Sprintf("%.3g ms", v*1e3)
	}
	return fmt.Sprintf("%.3g µs", v*1e6)
}
