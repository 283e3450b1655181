/*
Package onload reports the Go runtime's metrics to Heroku from the moment it is
imported:

	import _ "github.com/hmetrics/heroku-buildpack-go-metrics/agent/onload"

It takes the place of github.com/heroku/x/hmetrics/onload. Use it if you need
not stop reporting, choose the endpoint or hear of errors; otherwise call Report
of the package above it.

Where the environment variable HEROKU_METRICS_URL is empty it does nothing: no
goroutine, no timer. The same goes for one-off dynos (those of heroku run and of
the release phase) unless HMETRICS_ONE_OFF is true. Should reporting end with
an error, it starts again after 10 seconds, then 20, 30 and so on; five minutes
of reporting reset that.

With HMETRICS_VERBOSE true (1 or any other value that is true to
strconv.ParseBool) it logs to the standard logger, under the prefix [hmetrics],
when reporting begins, fails and recovers. Otherwise it writes nothing, and
nothing that befalls it reaches the program.
*/
package onload

import (
	"context"
	"fmt"
	"log"
	"time"

	hmetrics "github.com/hmetrics/heroku-buildpack-go-metrics/agent"
	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/internal/reporter"
)

// otherReporter is the import path of a package in this binary that reports
// by itself, or empty. Only the linker sets it, with -X, where it links this
// package into a program that does not import it.
var otherReporter string

func init() {
	if hmetrics.DefaultEndpoint == "" {
		return
	}
	config, problems := reporter.FromEnvironment()
	l := logger{printf: func(string, ...interface{}) {}}
	if config.Verbose {
		l.printf = func(format string, args ...interface{}) { log.Printf("[hmetrics] "+format, args...) }
	}
	for _, p := range problems {
		l.printf("%s", p)
	}
	switch {
	case otherReporter != "":
		l.printf("off: this program reports by itself, with %s", otherReporter)
	case config.OnOneOffDyno() && !config.OneOff:
		l.printf("off: %s is a one-off dyno: set HMETRICS_ONE_OFF=true to report from these too", config.Dyno)
	default:
		go keepReporting(&l, func() error {
			return reporter.Process.Run(context.Background(), reporter.Options{
				Endpoint:  hmetrics.DefaultEndpoint,
				Config:    config,
				Failed:    l.failed,
				Delivered: l.delivered,
			})
		}, time.Now, time.Sleep)
	}
}

// keepReporting calls report again and again, each time after a longer wait.
// It returns if report returns nil.
func keepReporting(l *logger, report func() error, now func() time.Time, sleep func(time.Duration)) {
	for backoff := 10 * time.Second; ; backoff += 10 * time.Second {
		start := now()
		err := contain(report)
		if err == nil {
			return
		}
		if now().Sub(start) > 5*time.Minute {
			backoff = 10 * time.Second
		}
		contain(func() error { return l.failed(err) })
		sleep(backoff)
	}
}

// contain makes an error of a panic of f.
func contain(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reporting Go metrics: panic: %v", p)
		}
	}()
	return f()
}

// A logger logs changes: a failure that lasts is named once.
type logger struct {
	printf  func(format string, args ...interface{})
	healthy bool
	failing bool
}

func (l *logger) failed(err error) error {
	if !l.failing {
		l.healthy, l.failing = false, true
		l.printf("error: %v", err)
	}
	return nil
}

func (l *logger) delivered() {
	switch {
	case l.failing:
		l.printf("reporting again")
	case !l.healthy:
		l.printf("reporting")
	}
	l.healthy, l.failing = true, false
}
