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
	buildpack = "buildpack"
	plain     = "plain"   // as if the buildpack were absent
	library   = "library" // github.com/heroku/x/hmetrics, imported by hand
	sdk       = "sdk"     // OpenTelemetry's SDK with contrib/runtime and otlpmetrichttp, by hand
	injectGo  = "inject"  // inject go, installed from the module, without bin/compile
)

// A kind is a way to measure. Rows of one kind and one app, where they follow each other,
// share what is measured.
type kind struct {
	measure func(ctx context.Context, m *measurement)
	unit    string // of readings
}

var (
	builds = &kind{measureBuilds, "s"}
	growth = &kind{measureGrowth, "B"}
	cpu    = &kind{measureCPU, "s"}
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
	{builds, "nochange/web", "rebuild with no change", webApp, buildpack, plain, install, difference, 0.020},
	{builds, "inject/web", "rebuild with no change, by inject go", webApp, injectGo, plain, install, difference, 0.060},
	{builds, "edit/web", "rebuild after one edit in main", webApp, buildpack, plain, install, difference, 0.250},
	{builds, "redeploy/web", "the same sources deployed once more", webApp, buildpack, plain, redeploy, difference, 0.1},
	{builds, "setting/web", "the same, with another HMETRICS_PACKAGES", webApp, buildpack, plain, redeploy, difference, 1.5},
	{builds, "update/web", "the same, with another version of the buildpack", webApp, buildpack, plain, redeploy, difference, 1.5},
	{builds, "mains/20", "20 main packages in one go install, cold", twentyApps, buildpack, plain, install, ratio, 1.05},
	{growth, "slug/web", "slug growth, web app", webApp, buildpack, library, "growth by heroku/x/hmetrics", ratio, 1.10},
	{cpu, "cpu", "CPU time per report: sample, encode, deliver to loopback", webApp, buildpack, library, "heroku/x/hmetrics", ratio, 0.8},
	{growth, "slug/otlp", "OTLP: slug growth, web app", otlpApp, buildpack, sdk, "growth by the SDK", ratio, 1.0 / 15},
	{cpu, "cpu/otlp", "OTLP: CPU time per export to loopback", otlpApp, buildpack, sdk, "the SDK", ratio, 0},
}

const install, redeploy = "plain go install", "plain redeploy"

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
