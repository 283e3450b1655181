package reporter

import (
	"os"
	"strings"
	"testing"
	"time"
)

var settings = []string{"HMETRICS_INTERVAL", "HMETRICS_TIMEOUT", "HMETRICS_RETRIES", "HMETRICS_ONE_OFF", "HMETRICS_VERBOSE", "DYNO"}

// environment clears what the agent reads and sets name=value pairs.
func environment(t *testing.T, set ...string) {
	t.Helper()
	for _, name := range settings {
		t.Setenv(name, "") // to be put back
		os.Unsetenv(name)
	}
	for _, s := range set {
		i := strings.Index(s, "=")
		t.Setenv(s[:i], s[i+1:])
	}
}

func fromEnvironment() (Config, []string) {
	o := FromEnvironment()
	return o.Config, o.Problems
}

func TestDefaults(t *testing.T) {
	environment(t)
	want := Config{Interval: 20 * time.Second, Timeout: 10 * time.Second, Retries: 3}
	if got, problems := fromEnvironment(); got != want || len(problems) != 0 {
		t.Errorf("got %+v, %q", got, problems)
	}
}

func TestSettings(t *testing.T) {
	environment(t, "HMETRICS_INTERVAL=1m30s", "HMETRICS_TIMEOUT=2s", "HMETRICS_RETRIES=0", "HMETRICS_ONE_OFF=1", "HMETRICS_VERBOSE=T", "DYNO=web.1")
	want := Config{Interval: 90 * time.Second, Timeout: 2 * time.Second, Verbose: true}
	if got, problems := fromEnvironment(); got != want || len(problems) != 0 {
		t.Errorf("got %+v, %q", got, problems)
	}
}

func TestABadValueMeansTheDefaultAndOneLine(t *testing.T) {
	def := Config{Interval: 20 * time.Second, Timeout: 10 * time.Second, Retries: 3}
	for _, c := range []struct{ set, accepts string }{
		{"HMETRICS_INTERVAL=20", "Go duration of at least 1s"},
		{"HMETRICS_INTERVAL=999ms", "Go duration of at least 1s"},
		{"HMETRICS_INTERVAL=-20s", "Go duration of at least 1s"},
		{"HMETRICS_TIMEOUT=soon", "Go duration of at least 100ms"},
		{"HMETRICS_TIMEOUT=1ns", "Go duration of at least 100ms"},
		{"HMETRICS_RETRIES=-1", "whole number"},
		{"HMETRICS_RETRIES=many", "whole number"},
		{"HMETRICS_ONE_OFF=maybe", "true or false"},
	} {
		environment(t, c.set)
		got, problems := fromEnvironment()
		if got != def {
			t.Errorf("%s: got %+v", c.set, got)
		}
		name := c.set[:strings.Index(c.set, "=")]
		if len(problems) != 1 || !strings.HasPrefix(problems[0], name+" ") || !strings.Contains(problems[0], c.accepts) {
			t.Errorf("%s: problems %q", c.set, problems)
		}
	}
}

// After a bad value, the other variables are still read.
func TestBadAndGoodValues(t *testing.T) {
	environment(t, "HMETRICS_INTERVAL=x", "HMETRICS_TIMEOUT=y", "HMETRICS_RETRIES=5", "HMETRICS_VERBOSE=true")
	got, problems := fromEnvironment()
	if want := (Config{Interval: 20 * time.Second, Timeout: 10 * time.Second, Retries: 5, Verbose: true}); got != want || len(problems) != 2 {
		t.Errorf("got %+v, %q", got, problems)
	}
}

func TestAnEmptyValueCountsAsNotSet(t *testing.T) {
	environment(t, "HMETRICS_INTERVAL=", "HMETRICS_TIMEOUT=", "HMETRICS_RETRIES=", "HMETRICS_ONE_OFF=", "HMETRICS_VERBOSE=", "DYNO=")
	want := Config{Interval: 20 * time.Second, Timeout: 10 * time.Second, Retries: 3}
	if got, problems := fromEnvironment(); got != want || len(problems) != 0 {
		t.Errorf("got %+v, %q", got, problems)
	}
}

func TestOneOffDynos(t *testing.T) {
	for dyno, want := range map[string]bool{
		"run.1234": true, "release.5": true, "scheduler.9": true, "run-848cd4f64d-pvpr2": true, "release-848cd4f64d-pvpr2": true,
		"web.1": false, "runner.1": false, "": false, "worker.2": false, "run": false, "run-jobs.1": false, "web-1234abcde-123ab": false,
		"runner-1": false, "run-jobs-848cd4f64d-pvpr2": false, "scheduler-848cd4f64d-pvpr2": false,
	} {
		environment(t, "DYNO="+dyno)
		if off := FromEnvironment().Off; (off != "") != want {
			t.Errorf("%q: %q", dyno, off)
		}
		environment(t, "DYNO="+dyno, "HMETRICS_ONE_OFF=1")
		if off := FromEnvironment().Off; off != "" {
			t.Errorf("%q: %q", dyno, off)
		}
	}
}

func FuzzConfig(f *testing.F) {
	f.Add("20s", "10s", "3", "true", "false")
	f.Add("1h", "-1s", "-3", "", "yes")
	f.Add("9223372036854775807ns", "0.1ns", "0x10", "t", "\xff")
	f.Fuzz(func(t *testing.T, interval, timeout, retries, oneOff, verbose string) {
		for i, v := range []string{interval, timeout, retries, oneOff, verbose} {
			if strings.Contains(v, "\x00") {
				t.Skip("no environment holds this")
			}
			t.Setenv(settings[i], v)
		}
		c, problems := fromEnvironment()
		if c.Interval < time.Second || c.Timeout < 100*time.Millisecond || c.Retries < 0 {
			t.Errorf("got %+v", c)
		}
		for _, p := range problems {
			if !strings.HasPrefix(p, "HMETRICS_") || strings.Contains(p, "\n") {
				t.Errorf("problem %q", p)
			}
		}
	})
}
