//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/page"
)

// An event is what -json prints a line of. Event is one of
//
//	warning  something that Heroku would do differently, or not at all
//	up       a process was started
//	page     the page is at URL
//	report   a report was accepted
//	outage   Outage is "began", "lasts" or "over"
//	exit     a process has ended
//	stopping the app is being stopped
//	result   the end; Reported is what the exit status says
//
// Text has the words that are printed without -json, in which a report is a line of
// a table.
type event struct {
	Event    string          `json:"event"`
	Time     time.Time       `json:"time"`
	Process  string          `json:"process,omitempty"`
	Text     string          `json:"text,omitempty"`
	Port     int             `json:"port,omitempty"`
	URL      string          `json:"url,omitempty"`
	Report   json.RawMessage `json:"report,omitempty"` // as it was sent
	Outage   string          `json:"outage,omitempty"`
	Counts   *counts         `json:"counts,omitempty"`
	Reported *bool           `json:"reported,omitempty"`
}

// counts are how the counters of a process are delivered.
type counts struct {
	Delivered page.Counters `json:"delivered"`
	Pending   page.Counters `json:"pending"`
	Lost      page.Counters `json:"lost"`
}

func countsOf(d *page.Delivery) *counts { return &counts{d.Delivered, d.Pending, d.Lost} }

// tell prints an event: with -json as a line of JSON, otherwise its text.
func (t *trial) tell(e event) {
	if t.json {
		e.Time = time.Now()
		line, err := json.Marshal(e)
		if err != nil { // a document that is no JSON is never accepted
			t.say("%v", err)
			return
		}
		fmt.Fprintf(t.stdout, "%s\n", line)
		return
	}
	switch e.Event {
	case "report":
	case "outage":
		fmt.Fprintln(t.stdout, e.Text)
	case "result":
		fmt.Fprintln(t.stdout, "try:", e.Text)
	default:
		t.say("%s", e.Text)
	}
}

func (t *trial) warn(process, format string, args ...any) {
	t.tell(event{Event: "warning", Process: process, Text: fmt.Sprintf("warning: "+format, args...)})
}

func (t *trial) say(format string, args ...any) {
	fmt.Fprintf(t.stderr, "try: "+format+"\n", args...)
}
