package reporter

import (
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"
)

// Config holds the settings that the two destinations share.
type Config struct {
	Interval time.Duration // between two reports
	Timeout  time.Duration // of one HTTP attempt
	Retries  int           // attempts after the first within one interval
	Verbose  bool          // log to the standard logger
	Prefix   string        // of what is logged
}

// FromEnvironment returns the options that the environment sets. For a variable with an
// invalid value, the default applies, and Problems names the variable.
func FromEnvironment() (o Options) {
	c := Config{Interval: 20 * time.Second, Timeout: 10 * time.Second, Retries: 3}
	standard := c
	oneOff, dyno := false, ""
	// envconfig stops at the first value that does not parse, so each variable has a
	// specification of its own.
	parses := func(spec interface{}) bool {
		e, failed := envconfig.Process("HMETRICS", spec).(*envconfig.ParseError)
		return !failed || e.Value == ""
	}
	if !parses(&struct{ Interval *time.Duration }{&c.Interval}) || c.Interval < time.Second {
		c.Interval = standard.Interval
		o.bad("HMETRICS_INTERVAL", "a Go duration of at least 1s, such as 20s", c.Interval)
	}
	// Less leaves no time for a connection.
	if !parses(&struct{ Timeout *time.Duration }{&c.Timeout}) || c.Timeout < 100*time.Millisecond {
		c.Timeout = standard.Timeout
		o.bad("HMETRICS_TIMEOUT", "a Go duration of at least 100ms, such as 10s", c.Timeout)
	}
	if !parses(&struct{ Retries *int }{&c.Retries}) || c.Retries < 0 {
		c.Retries = standard.Retries
		o.bad("HMETRICS_RETRIES", "a whole number from 0 up", c.Retries)
	}
	if !parses(&struct{ One_Off *bool }{&oneOff}) {
		o.bad("HMETRICS_ONE_OFF", "true or false", oneOff)
	}
	parses(&struct{ Verbose *bool }{&c.Verbose})
	_ = envconfig.Process("", &struct{ Dyno *string }{&dyno})
	if !oneOff && isOneOff(dyno) {
		o.Off = dyno + " is a one-off dyno: set HMETRICS_ONE_OFF=true to report from these too"
	}
	o.Config = c
	return o
}

// bad adds to the problems that a variable has an invalid value.
func (o *Options) bad(name, accepts string, using interface{}) {
	o.Problems = append(o.Problems, fmt.Sprintf("%s must be %s: using %v", name, accepts, using))
}

// isOneOff reports whether a dyno belongs to heroku run, to the release phase or to Heroku
// Scheduler: run.1234 or, on Fir, run-848cd4f64d-pvpr2. On Fir, run-jobs-848cd4f64d-pvpr2
// belongs to a process type.
func isOneOff(dyno string) bool {
	kind, _, cedar := strings.Cut(dyno, ".")
	if fir := strings.Split(dyno, "-"); !cedar && len(fir) <= 3 {
		kind = fir[0]
	}
	return kind != dyno && (kind == "run" || kind == "release" || cedar && kind == "scheduler")
}

// Log logs lines to the standard logger if c is verbose.
func (c Config) Log(lines ...string) {
	if c.Verbose {
		for _, line := range lines {
			log.Print("[hmetrics] " + c.Prefix + line)
		}
	}
}
