package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/dsnet/try"
	"github.com/dustin/go-humanize"
)

// What is measured against what. Each side of a row has one of these names.
const (
	buildpack   = "buildpack"
	plain       = "plain"       // as if the buildpack were absent
	library     = "library"     // github.com/heroku/x/hmetrics, imported by hand
	client      = "client"      // net/http's client, imported by hand
	sdk         = "sdk"         // OpenTelemetry's SDK with contrib/runtime and otlpmetrichttp, by hand
	orchestrion = "orchestrion" // without integrations
	pinned      = "pinned"      // plain, with the go.mod that Orchestrion needs
)

// A kind is a way to measure. Rows of one kind and one app, where they follow each other,
// share what is measured.
type kind struct {
	measure func(ctx context.Context, m *measurement)
	unit    string // of readings
}

var (
	builds  = &kind{measureBuilds, "s"}
	steps   = &kind{measureSteps, "s"}
	staging = &kind{measureStaging, "s"}
	growth  = &kind{measureGrowth, "B"}
	starts  = &kind{measureStarts, "s"}
	memory  = &kind{measureResident, "B"}
	cpu     = &kind{measureCPU, "s"}
)

// A row is a line of the table: a figure of the side a, beside that of the side b.
type row struct {
	*kind
	name, what string
	app        shape
	a, b       string
	against    string // b in words
	difference bool
	target     float64 // 0: there is none
}

// How the sides are compared: a ÷ b, or a − b.
const ratio, difference = false, true

// rows are the table, in its order.
var rows = []row{
	{builds, "cold/web", "cold build of a web app (gin)", webApp, buildpack, plain, install, ratio, 1.04},
	{builds, "nochange/web", "rebuild with no change", webApp, buildpack, plain, install, difference, 0.060},
	{builds, "edit/web", "rebuild after one edit in main", webApp, buildpack, plain, install, difference, 0.250},
	{builds, "first/web", "first build after adding the buildpack over a warm cache", webApp, buildpack, plain, "plain cold build", ratio, 1.05},
	{builds, "redeploy/web", "the same sources deployed once more", webApp, buildpack, plain, redeploy, difference, 0.2},
	{builds, "setting/web", "the same, with another HMETRICS_PACKAGES", webApp, buildpack, plain, redeploy, difference, 2.5},
	{builds, "update/web", "the same, with another version of the buildpack", webApp, buildpack, plain, redeploy, difference, 2.5},
	{builds, "cold/10", "cold build, 10 packages" + besides, shape{name: "app10", packages: 10, mains: 1}, buildpack, plain, install, ratio, 0},
	{builds, "cold/100", "cold build, 100 packages" + besides, web("app100", 100, 1), buildpack, plain, install, ratio, 1.05},
	{builds, "cold/1000", "cold build, 1,000 packages" + besides, web("app1000", 1000, 1), buildpack, plain, install, ratio, 1.02},
	{builds, "mains/5", "5 main packages in one go install, cold", web("mains5", framework+1, 5), buildpack, plain, install, ratio, 0},
	{builds, "mains/20", "20 main packages in one go install, cold", web("mains20", framework+1, 20), buildpack, plain, install, ratio, 1.06},
	{steps, "step", "bin/toolexec on a step that is not ours", shape{}, buildpack, plain, "exec of the tool", difference, 0.0015},
	{staging, "compile", "bin/compile, on every deploy", shape{}, buildpack, plain, "nothing", difference, 0},
	{growth, "slug/web", "slug growth, web app", webApp, buildpack, library, "growth by heroku/x/hmetrics", ratio, 1.10},
	{growth, "slug/worker", "slug growth, program without net/http", workerApp, buildpack, client, "growth by net/http's client", ratio, 1.05},
	{starts, "start/web", "start-up with the flag off, web app", webApp, buildpack, plain, "plain binary", difference, 50e-6},
	{starts, "start/worker", "start-up with the flag off, program without net/http", workerApp,
		buildpack, client, "the program importing net/http", difference, 50e-6},
	{memory, "rss", "resident memory with the flag on, idle", webApp, buildpack, library, "heroku/x/hmetrics", ratio, 1.02},
	{cpu, "cpu", "CPU time per report: sample, encode, deliver to loopback", webApp, buildpack, library, "heroku/x/hmetrics", ratio, 0.8},
	{builds, "cold/otlp", "OTLP: cold build of a web app", otlpApp, buildpack, sdk, "OpenTelemetry's SDK by hand", ratio, 0},
	{growth, "slug/otlp", "OTLP: slug growth, web app", otlpApp, buildpack, sdk, "growth by the SDK", ratio, 1.0 / 15},
	{starts, "start/otlp", "OTLP: start-up with an endpoint set", otlpApp, buildpack, sdk, "the SDK", difference, 0},
	{memory, "rss/otlp", "OTLP: resident memory, idle", otlpApp, buildpack, sdk, "the SDK", ratio, 0},
	{cpu, "cpu/otlp", "OTLP: CPU time per export to loopback", otlpApp, buildpack, sdk, "the SDK", ratio, 0},
}

const install, redeploy, besides = "plain go install", "plain redeploy", " besides the standard library"

// orchestrion returns the row of Orchestrion, which is shown in r.
func (r row) orchestrion() row {
	r.name, r.a, r.b, r.target = r.name+"/orchestrion", orchestrion, pinned, 0
	return r
}

// show shows three digits of a reading, with its unit.
func (k *kind) show(v float64) string {
	return humanize.SI(try.E1(strconv.ParseFloat(fmt.Sprintf("%.3g", v), 64)), k.unit)
}

// shown shows what compares the two sides.
func (r row) shown(v float64) string {
	switch {
	case !r.difference:
		return fmt.Sprintf("%.3f", v)
	case v < 0:
		return "−" + r.show(-v)
	}
	return "+" + r.show(v)
}
