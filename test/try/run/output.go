//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/page"
)

// An event is what -json prints a line of. Event is one of
//
//	warning  Heroku does something differently, or not at all
//	up       a process was started
//	page     the page is at URL
//	report   a report was accepted
//	export   an export by OTLP was accepted
//	outage   Outage is "began", "lasts" or "over"
//	exit     a process ended
//	stopping the app is being stopped
//	result   the end; Reported is true if the exit status is 0
//
// Text is the line that is printed without -json. A report is a line of a table.
type event struct {
	Event    string             `json:"event"`
	Time     time.Time          `json:"time"`
	Process  string             `json:"process,omitempty"`
	Text     string             `json:"text,omitempty"`
	Port     int                `json:"port,omitempty"`
	URL      string             `json:"url,omitempty"`
	Report   json.RawMessage    `json:"report,omitempty"` // as sent
	Export   map[string]float64 `json:"export,omitempty"` // except histograms
	Outage   string             `json:"outage,omitempty"`
	Counts   *page.Counts       `json:"counts,omitempty"`
	Reported *bool              `json:"reported,omitempty"`
}

// print prints an event: with -json as a line of JSON, otherwise its text.
func (s *session) print(e event) {
	switch {
	case s.json:
		e.Time = time.Now()
		line, _ := json.Marshal(e) // only JSON is ever accepted
		fmt.Fprintf(s.stdout, "%s\n", line)
	case e.Event == "report" || e.Event == "outage":
		fmt.Fprintln(s.stdout, e.Text)
	case e.Event == "result":
		fmt.Fprintln(s.stdout, "try:", e.Text)
	case e.Text != "":
		s.logf("%s", e.Text)
	}
}

func (s *session) warn(process, format string, args ...any) {
	s.print(event{Event: "warning", Process: process, Text: fmt.Sprintf("warning: "+format, args...)})
}

func (s *session) logf(format string, args ...any) {
	fmt.Fprintf(s.stderr, "try: "+format+"\n", args...)
}

// tableRow returns a line of the table of reports: its values, or one text.
func (s *session) tableRow(since, process string, values ...any) string {
	format := "  %10s  %10s  %11s  %10s  %6s  %8s  %10s"
	if len(values) == 1 {
		format = "  %s"
	}
	return fmt.Sprintf("%8s  %-*s"+format, slices.Concat([]any{since, s.width, process}, values)...)
}

// elapsed renders a time since the start, such as 2.0s or 1m2s.
func elapsed(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}

var color = regexp.MustCompile(`\x1b\[[0-9;]*m`)

// buildLog prints a line of the build log, with its colors only on a terminal.
func (s *session) buildLog(line []byte) {
	if !s.colors {
		line = color.ReplaceAll(line, nil)
	}
	fmt.Fprintf(s.stderr, "%s\n", line)
}
