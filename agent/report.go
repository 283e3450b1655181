// Package hmetrics reports the Go runtime's metrics to Heroku. It takes the place
// of github.com/heroku/x/hmetrics: change the import path and nothing else.
//
// Most programs need no more than
//
//	import _ "github.com/hmetrics/heroku-buildpack-go-metrics/agent/onload"
//
// and with the buildpack not even that. See
// https://devcenter.heroku.com/articles/language-runtime-metrics-go for what
// Heroku makes of the metrics.
//
// # What is reported
//
// Each report has two counters, garbage collections and the nanoseconds for which
// they stopped the world, and five gauges: the bytes and the number of heap
// objects, the bytes of stacks, the heap size at which the next collection starts
// and the number of goroutines. Taking them does not stop the world.
//
// Counters are what was added since the last report that the endpoint
// acknowledged with a 2xx answer, in this or an earlier call of Report, and before
// the first since the process started. What an outage held up arrives with the
// first report after it. A report whose acknowledgement gets lost is sent again,
// so that in such a case an interval may be counted twice, but never not at all.
//
// # Settings
//
// Report takes these from the environment when it is called:
//
//	HMETRICS_INTERVAL  time between reports, a Go duration of at least 1s (default 20s)
//	HMETRICS_TIMEOUT   bound on one HTTP attempt, a Go duration of at least 100ms (default 10s)
//	HMETRICS_RETRIES   attempts after the first within one interval (default 3)
//	HMETRICS_VERBOSE   true: say on the standard logger what is wrong with these (default false)
//
// A value that will not do counts as not set.
//
// # Limits
//
// Every process that calls Report, or imports onload, reports: a program that
// starts itself again is counted twice, unless one of the two has an empty
// HEROKU_METRICS_URL. While reporting, a goroutine runs, which a check for leaked
// goroutines sees, and which keeps the runtime from reporting a deadlock of all
// others.
package hmetrics

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/internal/reporter"
)

// DefaultEndpoint is where to report to on this dyno. Heroku sets the
// environment variable HEROKU_METRICS_URL when the labs flag
// runtime-heroku-metrics is enabled; elsewhere it is empty. Spaces around the
// value are left out.
//
// DefaultEndpoint must not be changed once Report was called.
var DefaultEndpoint = strings.TrimSpace(os.Getenv("HEROKU_METRICS_URL"))

// An ErrHandler is called with each error met while metrics are collected or
// reported. The error's text never holds the path, query or user info of the
// endpoint.
type ErrHandler func(err error) error

// AlreadyStarted is the error of a call of Report while another is reporting.
type AlreadyStarted struct{}

func (as AlreadyStarted) Error() string { return "reporting Go metrics: already started" }

// Fatal returns false: Report may succeed once the other call's context is
// canceled.
func (as AlreadyStarted) Fatal() bool { return false }

// HerokuMetricsURLUnset is the error of a call of Report with an empty
// endpoint, which DefaultEndpoint is where the environment variable
// HEROKU_METRICS_URL is unset or empty.
type HerokuMetricsURLUnset struct{}

func (e HerokuMetricsURLUnset) Error() string {
	return "reporting Go metrics: HEROKU_METRICS_URL is not set: enable it with heroku labs:enable runtime-heroku-metrics"
}

// Fatal returns true: Report will not succeed with this endpoint.
func (e HerokuMetricsURLUnset) Fatal() bool { return true }

// Report reports Go metrics to the endpoint, an http or https URL, until the
// context is canceled. The first report is made after one interval and a random
// part of the next, so that processes which start together do not report
// together, and every later one an interval after the one before.
//
// A report that is not acknowledged is attempted again within its interval.
// If that does not help, ef is called with the error. Only one call to ef
// happens at a time; reports are delayed or dropped, never piled up, if one
// takes longer than the interval, and no counts are lost by it. Reporting
// goes on if ef returns nil; if ef returns an error it ends, and Report returns
// nil. A nil ef is allowed.
//
// When the context is canceled, one last attempt is made to deliver what is
// pending. It takes at most two seconds, then Report returns nil. A program
// that waits for that when it shuts down loses nothing.
//
// Report may be called concurrently, but it returns AlreadyStarted, so that
// nothing is counted twice, unless the context of the call before was
// canceled; then it waits for that call's last attempt. Otherwise it returns
// HerokuMetricsURLUnset for an empty endpoint, and for one that is no URL an
// error that has, as that one does, a method Fatal which returns true.
func Report(ctx context.Context, endpoint string, ef ErrHandler) error {
	o := reporter.FromEnvironment()
	o.Endpoint, o.Failed = func() string { return endpoint }, ef
	err := reporter.Heroku.Run(ctx, o)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, reporter.ErrUnset):
		return HerokuMetricsURLUnset{}
	case errors.Is(err, reporter.ErrRunning):
		return AlreadyStarted{}
	}
	return err
}
