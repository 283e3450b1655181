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

// FromEnvironment reads the settings from the environment. A variable with a
// value that will not do counts as not set, and one line about it is returned.
func FromEnvironment() (c Config, problems []string) {
	c = Config{Interval: 20 * time.Second, Timeout: 10 * time.Second, Retries: 3}
	standard := c
	// envconfig stops at the first value that does not parse, so each variable
	// is a specification of its own.
	parses := func(spec interface{}) bool {
		e, failed := envconfig.Process("HMETRICS", spec).(*envconfig.ParseError)
		return !failed || e.Value == ""
	}
	bad := func(name, accepts string, standard interface{}) {
		problems = append(problems, fmt.Sprintf("HMETRICS_%s must be %s: using %v", name, accepts, standard))
	}
	if !parses(&struct{ Interval *time.Duration }{&c.Interval}) || c.Interval < time.Second {
		c.Interval = standard.Interval
		bad("INTERVAL", "a Go duration of at least 1s, such as 20s", c.Interval)
	}
	// Less leaves no time for a connection to be made.
	if !parses(&struct{ Timeout *time.Duration }{&c.Timeout}) || c.Timeout < 100*time.Millisecond {
		c.Timeout = standard.Timeout
		bad("TIMEOUT", "a Go duration of at least 100ms, such as 10s", c.Timeout)
	}
	if !parses(&struct{ Retries *int }{&c.Retries}) || c.Retries < 0 {
		c.Retries = standard.Retries
		bad("RETRIES", "a whole number from 0 up", c.Retries)
	}
	if !parses(&struct{ One_Off *bool }{&c.OneOff}) {
		bad("ONE_OFF", "true or false", c.OneOff)
	}
	parses(&struct{ Verbose *bool }{&c.Verbose})
	_ = envconfig.Process("", &struct{ Dyno *string }{&c.Dyno})
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
