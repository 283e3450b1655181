// Package telemetry is where this app asks for its runtime metrics to be
// reported, the way Heroku's documentation tells it to.
package telemetry

import (
	"expvar"

	_ "github.com/heroku/x/hmetrics/onload"
)

// Requests counts the requests served.
var Requests = expvar.NewInt("requests")
