//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/page"
)

// An event is what -json prints a line of. Event is one of
//
//	warning  something that Heroku would do differently, or not at all
//	up       a process was started
//	page     the page is at URL
//	report   a report was accepted
//	export   an export by OTLP was accepted
//	outage   Outage is "began", "lasts" or "over"
//	exit     a process has ended
//	stopping the app is being stopped
//	result   the end; Reported is what the exit status says
//
// Text has the words that are printed without -json, in which a report is a line of
// a table.
type event struct {
	Event    string             `json:"event"`
	Time     time.Time          `json:"time"`
	Process  string             `json:"process,omitempty"`
	Text     string             `json:"text,omitempty"`
	Port     int                `json:"port,omitempty"`
	URL      string             `json:"url,omitempty"`
	Report   json.RawMessage    `json:"report,omitempty"` // as it was sent
	Export   map[string]float64 `json:"export,omitempty"` // but for histograms
	Outage   string             `json:"outage,omitempty"`
	Counts   *page.Counts       `json:"counts,omitempty"`
	Reported *bool              `json:"reported,omitempty"`
}

// tell prints an event: with -json as a line of JSON, otherwise its text.
func (s *session) tell(e event) {
	switch {
	case s.json:
		e.Time = time.Now()
		line, err := json.Marshal(e)
		if err != nil { // a document that is no JSON is never accepted
			s.say("%v", err)
		}
		fmt.Fprintf(s.stdout, "%s\n", line)
	case e.Event == "report" || e.Event == "outage":
		fmt.Fprintln(s.stdout, e.Text)
	case e.Event == "result":
		fmt.Fprintln(s.stdout, "try:", e.Text)
	case e.Text != "":
		s.say("%s", e.Text)
	}
}

func (s *session) warn(process, format string, args ...any) {
	s.tell(event{Event: "warning", Process: process, Text: fmt.Sprintf("warning: "+format, args...)})
}

func (s *session) say(format string, args ...any) {
	fmt.Fprintf(s.stderr, "try: "+format+"\n", args...)
}

// tableLine returns a line of the table of reports, whose column of process names
// has the given width.
func tableLine(since, process string, width int, rest ...any) string {
	if len(rest) == 1 {
		return fmt.Sprintf("%8s  %-*s  %s", since, width, process, rest[0])
	}
	return fmt.Sprintf("%8s  %-*s  %10s  %10s  %11s  %10s  %6s  %8s  %10s", append([]any{since, width, process}, rest...)...)
}

// headerEvery is after how many reports the header comes again.
const headerEvery = 20

func tableHeader(width int) string {
	return tableLine("time", "process", width, "heap", "stack", "objects", "goal", "GCs", "pause", "goroutines")
}

func tableReport(since string, width int, r endpoint.Report) string {
	return tableLine(since, r.Process, width, endpoint.Bytes(r.HeapBytes), endpoint.Bytes(r.StackBytes), endpoint.Count(r.HeapObjects),
		endpoint.Bytes(r.GCGoal), endpoint.Count(r.Collections), endpoint.Duration(r.PauseNS), endpoint.Count(r.Goroutines))
}

// elapsed renders a time since the start, such as 2.0s or 1m02s.
func elapsed(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	d = d.Round(time.Second)
	if d < time.Hour {
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
}

const eraseLine = "\r\x1b[2K"

var (
	installLine = regexp.MustCompile(`^-----> Running: go install -v `)
	packageLine = regexp.MustCompile(`^       [A-Za-z0-9._~/+-]+$`)
	colour      = regexp.MustCompile(`\x1b\[[0-9;]*m`)
)

// buildLog returns what prints the log of a build, a line at a time: with colours on
// a terminal, unless they are not wanted. There the packages that go install -v
// names, which may be hundreds, share one line that is written over and over.
func (s *session) buildLog() func(line []byte) {
	noColour, _ := herokugo.Getenv(s.environ, "NO_COLOR")
	install, packages, started := false, 0, time.Time{}
	return func(line []byte) {
		if !s.terminal || noColour != "" {
			line = colour.ReplaceAll(line, nil)
		}
		if s.terminal && install && packageLine.Match(line) {
			packages++
			// A line that is too long for the terminal could not be written over.
			fmt.Fprintf(s.stderr, "%s%.78s", eraseLine, fmt.Sprintf("       package %d: %s", packages, line[7:]))
			return
		}
		if packages > 0 {
			io.WriteString(s.stderr, eraseLine)
		}
		if bytes.HasPrefix(line, []byte("-----> ")) {
			if packages > 0 {
				fmt.Fprintf(s.stderr, "       %s compiled in %s\n", plural(packages, "package"), elapsed(time.Since(started)))
			}
			install, packages, started = installLine.Match(line), 0, time.Now()
		}
		fmt.Fprintf(s.stderr, "%s\n", line)
	}
}
