package main

const (
	buildpackModule = "github.com/hmetrics/heroku-buildpack-go-metrics"
	buildpackURL    = "https://" + buildpackModule

	// Key of the build information's settings for the ID of the stage that the agent
	// is from.
	injectionSetting = "hmetrics.injection"
)

// A destination is where the agent reports to. A program that imports a package
// which reports there by itself would be counted twice, so the agent sends nothing
// there.
type destination struct {
	name      string
	reporters []string // such packages
	variable  string   // of the agent's package start: the reporter in the program
	setting   string   // key of the build information's settings, for the same
}

var destinations = []destination{
	{
		name:      "Heroku",
		reporters: []string{"github.com/heroku/x/hmetrics", "go.pennock.tech/hmetrics", buildpackModule + "/agent"},
		variable:  "herokuReporter",
		setting:   "hmetrics.off",
	},
	{
		name:      "OTLP",
		reporters: []string{"go.opentelemetry.io/contrib/instrumentation/runtime", buildpackModule + "/agent/onload"},
		variable:  "otlpReporter",
		setting:   "hmetrics.off.otlp",
	},
}

// quiet says to which destination nothing is sent, and why.
func (d destination) quiet(reporter string) string {
	return "; nothing to " + d.name + ", since " + reporter + " reports there"
}
