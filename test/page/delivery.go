package page

import (
	"slices"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
)

// Counters are the two counters of a report, or sums of them.
type Counters struct {
	Collections float64 `json:"collections"` // garbage collections completed
	PauseNS     float64 `json:"pause_ns"`    // stop-the-world time of the collector, ns
}

// Plus returns the sum of both.
func (c Counters) Plus(d Counters) Counters {
	return Counters{c.Collections + d.Collections, c.PauseNS + d.PauseNS}
}

// Counts are the counters of a process by their delivery.
type Counts struct {
	Delivered Counters `json:"delivered"` // by accepted reports
	Pending   Counters `json:"pending"`   // in the newest report, if it is not accepted yet
	Lost      Counters `json:"lost"`
}

// An Outage is a period in which a process reported and no report was accepted.
type Outage struct {
	From, To time.Time // the first request that failed, and the one that was accepted
	Brought  Counters  // by that one
}

// Lasted returns its length, such as 4m2s.
func (o Outage) Lasted() string { return o.To.Sub(o.From).Round(time.Second).String() }

// A Delivery tracks the delivery of one process's reports. The zero value is for a process
// that has not reported yet.
//
// A report that was not accepted contains what the process had counted, so the next one must
// not contain less. The difference is lost: the process dropped it. Exports by OTLP count
// collections from the start of the process, so they also show dropped collections that no
// report contained.
type Delivery struct {
	Attempts int // requests
	Retried  int // of these, that came after one that was not accepted
	Refused  int // of these, for what they brought
	Accepted int

	WhyRefused string // the newest one; empty if it was not

	Counts

	Failing time.Time // the first request since the last accepted one, or zero
	Outages []Outage  // that are over, the newest first

	Exports       int    // by OTLP, accepted
	ExportRefused string // why the newest one was refused; empty if it was not

	tries    int      // requests since the last accepted one
	reported Counters // Delivered and the newest report together
	counted  float64  // collections by the newest export
	due      float64  // of these, what the next report cannot be too early for
}

// Attempt records a request before its answer.
func (d *Delivery) Attempt(a endpoint.Attempt) {
	d.Attempts++
	d.WhyRefused = a.Refused
	if d.tries++; d.tries > 1 {
		d.Retried++
	} else {
		d.Failing = a.Received
	}
	switch {
	case a.Refused != "":
		d.Refused++
	case !a.Unread:
		d.Pending = Counters{a.Collections, a.PauseNS}
		reported := d.Delivered.Plus(d.Pending)
		d.Lost.PauseNS += max(0, d.reported.PauseNS-reported.PauseNS)
		d.Lost.Collections += max(0, d.reported.Collections-reported.Collections)
		d.Lost.Collections += max(0, d.due-reported.Collections-d.Lost.Collections)
		d.reported, d.due = reported, d.counted
	}
}

// Accept records that a report, after its Attempt, was accepted.
func (d *Delivery) Accept(r endpoint.Report) {
	d.Accepted++
	brought := Counters{r.Collections, r.PauseNS}
	d.Delivered = d.Delivered.Plus(brought)
	if d.Pending == brought {
		d.Pending = Counters{}
	}
	if d.tries > 1 {
		d.Outages = slices.Insert(d.Outages, 0, Outage{d.Failing, r.Received, brought})
		d.Outages = d.Outages[:min(len(d.Outages), keepOutages)]
	}
	d.tries, d.Failing = 0, time.Time{}
}

// Export records an export by OTLP.
func (d *Delivery) Export(e endpoint.Export) {
	if d.ExportRefused = e.Refused; e.Refused == "" {
		d.Exports++
		d.counted = e.Values["go.memory.gc.cycles"]
	}
}

// Down reports whether the process fails to deliver: two requests in a row were not
// accepted.
func (d *Delivery) Down() bool { return d.tries > 1 }
