package main

const (
	buildpackModule = "github.com/hmetrics/heroku-buildpack-go-metrics"
	buildpackURL    = "https://" + buildpackModule

	// Key of the build information's settings for the ID of the stage that the agent
	// is from.
	injectionSetting = "hmetrics.injection"
)

// A destination is where the agent reports to. A program that imports a package
// which reports there by itself would be counted twice, so the agent keeps quiet.
type destination struct {
	reporters []string // such packages
	variable  string   // of the agent's package onload: the reporter in the program
	setting   string   // key of the build information's settings, for the same
}

var destinations = []destination{
	{
		reporters: []string{"github.com/heroku/x/hmetrics", "go.pennock.tech/hmetrics", buildpackModule + "/agent"},
		variable:  "herokuReporter",
		setting:   "hmetrics.off",
	},
}
