package reporter

import (
	"fmt"
	"log"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"
)

// Config holds the settings of the agent.
type Config struct {
	Interval time.Duration // between two reports
	Timeout  time.Duration // of one HTTP attempt
	Retries  int           // attempts after the first within one interval
	OneOff   bool          // report from one-off dynos too
	Verbose  bool          // log to the standard logger
	Dyno     string        // the name of this dyno, such as web.1; empty elsewhere
}

// minTimeout leaves time for a connection to be made.
const minTimeout = 100 * time.Millisecond

// FromEnvironment reads the settings from the environment. A variable with a
// value that will not do counts as not set, and one line about it is returned.
func FromEnvironment() (c Config, problems []string) {
	c = Config{Interval: 20 * time.Second, Timeout: 10 * time.Second, Retries: 3}
	bad := func(name, accepts string, standard interface{}) {
		problems = append(problems, fmt.Sprintf("%s must be %s: using %v", name, accepts, standard))
	}

	// envconfig stops at the first bad value, so each variable is a
	// specification of its own.
	set := func(spec interface{}) (ok bool) {
		err, bad := envconfig.Process("", spec).(*envconfig.ParseError)
		return !bad || err.Value == ""
	}
	interval, timeout, retries := c.Interval, c.Timeout, c.Retries
	if !set(&struct {
		V *time.Duration `envconfig:"HMETRICS_INTERVAL"`
	}{&interval}) || interval < time.Second {
		bad("HMETRICS_INTERVAL", "a Go duration of at least 1s, such as 20s", c.Interval)
	} else {
		c.Interval = interval
	}
	if !set(&struct {
		V *time.Duration `envconfig:"HMETRICS_TIMEOUT"`
	}{&timeout}) || timeout < minTimeout {
		bad("HMETRICS_TIMEOUT", "a Go duration of at least 100ms, such as 10s", c.Timeout)
	} else {
		c.Timeout = timeout
	}
	if !set(&struct {
		V *int `envconfig:"HMETRICS_RETRIES"`
	}{&retries}) || retries < 0 {
		bad("HMETRICS_RETRIES", "a whole number from 0 up", c.Retries)
	} else {
		c.Retries = retries
	}
	if !set(&struct {
		V *bool `envconfig:"HMETRICS_ONE_OFF"`
	}{&c.OneOff}) {
		bad("HMETRICS_ONE_OFF", "true or false", c.OneOff)
	}
	set(&struct {
		V *bool `envconfig:"HMETRICS_VERBOSE"`
	}{&c.Verbose})
	set(&struct {
		V *string `envconfig:"DYNO"`
	}{&c.Dyno})
	return c, problems
}

// Log logs lines to the standard logger, if it is to be verbose.
func (c Config) Log(lines ...string) {
	if c.Verbose {
		for _, line := range lines {
			log.Print("[hmetrics] " + line)
		}
	}
}

// OnOneOffDyno says whether this is a dyno of heroku run or of the release
// phase.
func (c Config) OnOneOffDyno() bool {
	return strings.HasPrefix(c.Dyno, "run.") || strings.HasPrefix(c.Dyno, "release.")
}
