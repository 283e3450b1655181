// Package start starts reporting in a process, and restarts it after errors.
package start

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	hmetrics "github.com/hmetrics/heroku-buildpack-go-metrics/agent"
	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/internal/memlimit"
	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/internal/reporter"
)

// herokuReporter is the import path of a package in this program that reports to Heroku by
// itself, or empty. otlpReporter is that of a package that exports the runtime's metrics by
// OTLP if the program starts it. Only the linker sets them, with -X, when the buildpack
// links this package into a program.
var herokuReporter, otlpReporter string

// initTime is how long the init functions of a program may take to set
// hmetrics.DefaultEndpoint if HEROKU_METRICS_URL is empty.
const initTime = 5 * time.Second

// atInit is hmetrics.DefaultEndpoint before the app's init functions ran.
var atInit = hmetrics.DefaultEndpoint

// Reporting starts reporting to each destination that the environment turns on. It is called
// once: by the init function of package onload, or by the one that the buildpack adds to a
// main package, which runs after all init functions of the program.
func Reporting() {
	for _, f := range []func(){limitMemory, startHeroku, startOTLP} {
		f := f
		_ = contain(func() error { f(); return nil })
	}
}

func limitMemory() {
	if setting := os.Getenv("HMETRICS_MEMORY_LIMIT"); setting != "" {
		later(reporter.FromEnvironment().Config, memlimit.Apply(setting))
	}
}

func startHeroku() {
	if hmetrics.DefaultEndpoint == atInit { // an init function may have set the variable
		hmetrics.DefaultEndpoint = strings.TrimSpace(os.Getenv("HEROKU_METRICS_URL"))
	}
	startIfOn(new([4]*byte), time.Now())
}

func startOTLP() {
	if reporter.OTLPIsOn() {
		start(reporter.OTLP(reporter.FromEnvironment(), otlpReporter))
	}
}

// startIfOn starts reporting to Heroku if there is an endpoint. If there is none, a later
// init function may still set one. To notice that without a goroutine or a timer, startIfOn
// sets a finalizer on the unused again, so that the garbage collector calls it.
func startIfOn(again *[4]*byte, began time.Time) {
	switch {
	case defaultEndpoint() != "":
		o := reporter.FromEnvironment()
		o.Endpoint = defaultEndpoint
		if herokuReporter != "" {
			o.Off = reporter.LinkedBeside(herokuReporter)
		}
		start(&reporter.Heroku, o)
	case time.Since(began) < initTime:
		runtime.SetFinalizer(again, func(again *[4]*byte) { startIfOn(again, began) })
	}
}

// defaultEndpoint reads what init functions wrote long before. The race detector cannot
// know that.
//
//go:norace
func defaultEndpoint() string { return hmetrics.DefaultEndpoint }

// later logs lines after the first interval. Logging reads the time zone, which main may be
// about to set, so nothing is logged earlier than the first report.
func later(c reporter.Config, lines ...string) {
	if c.Verbose {
		go contain(func() error { settle(c); c.Log(lines...); return nil })
	}
}

// settle waits for one interval. Until then, main may set what a report or a log line reads
// once per process.
func settle(c reporter.Config) {
	reporter.Pause(c.Interval)
	afterMain()
}

func start(r *reporter.Reporter, o reporter.Options) {
	o.Began = time.Now()
	if o.Off != "" {
		later(o.Config, append(o.Problems, "off: "+o.Off)...)
		return
	}
	l := &logger{log: o.Config.Log}
	o.Failed, o.Delivered = l.failed, l.delivered
	report := func() error { return r.Run(context.Background(), o) }
	go keepReporting(l, func() { settle(o.Config) }, report, time.Now, time.Sleep)
}

// keepReporting calls report after pause, and calls it again after each error, with
// increasing waits. It returns when report returns nil.
func keepReporting(l *logger, pause func(), report func() error, now func() time.Time, sleep func(time.Duration)) {
	pause()
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

// contain turns a panic of f into an error.
func contain(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reporting Go metrics: panic: %v", p)
		}
	}()
	return f()
}

// A logger logs changes: it logs a failure only if it differs from the previous one.
type logger struct {
	log      func(lines ...string)
	reported bool   // at least once
	failure  string // the last report's, if it failed
	pending  int    // intervals since the last delivered report
}

func (l *logger) failed(err error) error {
	l.pending++
	if text := err.Error(); text != l.failure {
		l.failure = text
		l.log(fmt.Sprintf("error: %s (intervals pending: %d)", text, l.pending))
	}
	return nil
}

func (l *logger) delivered() {
	switch {
	case !l.reported:
		l.log("reporting")
	case l.pending > 0:
		l.log(fmt.Sprintf("reporting again (intervals that were pending: %d)", l.pending))
	}
	*l = logger{log: l.log, reported: true}
}
