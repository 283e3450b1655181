// Package hmetrics reports the Go runtime's metrics to Heroku. It is a drop-in
// replacement for github.com/heroku/x/hmetrics: change the import path and nothing
// else.
//
// Most programs need only
//
//	import _ "github.com/hmetrics/heroku-buildpack-go-metrics/agent/onload"
//
// and with the buildpack not even that. For how Heroku shows the metrics, see
// https://devcenter.heroku.com/articles/language-runtime-metrics-go.
//
// # What is reported
//
// Each report has two counters and five gauges. The counters are the number of garbage
// collections, and the nanoseconds for which they stopped the world. The gauges are the
// bytes and the number of heap objects, the bytes of stacks, the heap size at which the
// next collection starts, and the number of goroutines. Sampling them does not stop the
// world.
//
// Counters hold what was added since the last report that the endpoint acknowledged with
// a 2xx answer, in this or an earlier call of Report. Before the first acknowledgement,
// they count from the start of the process. Counts from an outage arrive with the first
// report after it. If an acknowledgement is lost, the report is sent again. Then the
// interval may be counted twice, but its counts are never lost.
//
// # Settings
//
// Report reads these environment variables when it is called:
//
//	HMETRICS_INTERVAL  time between reports, a Go duration of at least 1s (default 20s)
//	HMETRICS_TIMEOUT   limit for one HTTP attempt, a Go duration of at least 100ms (default 10s)
//	HMETRICS_RETRIES   attempts after the first within one interval (default 3)
//	HMETRICS_VERBOSE   true: log invalid settings to the standard logger (default false)
//
// If a value is invalid, the default applies.
//
// # Limits
//
// Every process that calls Report or imports onload reports. A program that starts itself
// again is therefore counted twice, unless one of the two processes has an empty
// HEROKU_METRICS_URL. While Report runs, checks for leaked goroutines see its goroutine,
// and the runtime does not report a deadlock of all others.
package hmetrics

import (
	"context"
	"os"
	"strings"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/internal/reporter"
)

// DefaultEndpoint is the endpoint of this dyno: the environment variable
// HEROKU_METRICS_URL without surrounding spaces. Heroku sets that variable when the labs
// flag runtime-heroku-metrics is enabled. Elsewhere DefaultEndpoint is empty.
//
// DefaultEndpoint must not be changed after a call of Report.
var DefaultEndpoint = strings.TrimSpace(os.Getenv("HEROKU_METRICS_URL"))

// An ErrHandler is called with each error that occurs while metrics are collected or
// reported. The error's text never contains the path, query or user info of the endpoint.
type ErrHandler func(err error) error

// AlreadyStarted is the error that Report returns while another call of it is reporting.
type AlreadyStarted struct{}

func (as AlreadyStarted) Error() string { return "reporting Go metrics: already started" }

// Fatal returns false: Report may succeed once the other call's context is
// canceled.
func (as AlreadyStarted) Fatal() bool { return false }

// HerokuMetricsURLUnset is the error that Report returns for an empty endpoint.
// DefaultEndpoint is empty if the environment variable HEROKU_METRICS_URL is unset or
// empty.
type HerokuMetricsURLUnset struct{}

func (e HerokuMetricsURLUnset) Error() string {
	return "reporting Go metrics: HEROKU_METRICS_URL is not set: enable it with heroku labs:enable runtime-heroku-metrics"
}

// Fatal returns true: Report cannot succeed with this endpoint.
func (e HerokuMetricsURLUnset) Fatal() bool { return true }

// Report reports Go metrics to the endpoint, an http or https URL, until the context is
// canceled. The first report follows after one interval and a random part of the next, so
// that processes that start together do not report together. Later reports follow one
// interval apart.
//
// If a report is not acknowledged, Report tries again within the interval. If that fails
// too, it calls ef with the error. If ef returns nil, reporting continues. If ef returns an
// error, reporting ends and Report returns nil. Only one call to ef happens at a time. If it
// takes longer than the interval, reports are delayed or dropped, but no counts are lost. A
// nil ef is allowed.
//
// When the context is canceled, Report makes one last attempt to deliver what is pending. It
// returns nil after at most two seconds. A program that waits for that when it shuts down
// loses nothing.
//
// Report may be called concurrently. While another call is reporting, it returns
// AlreadyStarted, so that nothing is counted twice. If the context of the other call was
// canceled, it waits for that call's last attempt instead. For an empty endpoint it returns
// HerokuMetricsURLUnset. For an endpoint that is not such a URL it returns an error that,
// like HerokuMetricsURLUnset, has a method Fatal that returns true.
func Report(ctx context.Context, endpoint string, ef ErrHandler) error {
	o := reporter.FromEnvironment()
	o.Endpoint, o.Failed = func() string { return endpoint }, ef
	switch err := reporter.Heroku.Run(ctx, o); err {
	case reporter.ErrUnset:
		return HerokuMetricsURLUnset{}
	case reporter.ErrRunning:
		return AlreadyStarted{}
	default:
		return err
	}
}
