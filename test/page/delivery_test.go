package page

import (
	"testing"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
)

// A reporter makes reports as real ones do, one each second. It is honest if it
// tells again what was not accepted, as the agent does, and otherwise drops it, as
// github.com/heroku/x/hmetrics does.
type reporter struct {
	honest        bool
	now, reported float64 // collections
	clock         time.Time
	Delivery
}

// report makes and sends a report after n more collections.
func (r *reporter) report(n float64, accepted bool) {
	r.now += n
	r.clock = r.clock.Add(time.Second)
	report := endpoint.Report{Received: r.clock, Collections: r.now - r.reported, PauseNS: 1000 * (r.now - r.reported)}
	r.Attempt(endpoint.Attempt{Report: report})
	if accepted {
		r.Accept(report)
	}
	if accepted || !r.honest {
		r.reported = r.now
	}
}

func TestDelivery(t *testing.T) {
	start := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	honest, lossy := &reporter{honest: true, clock: start}, &reporter{clock: start}
	step := func(n float64, accepted bool) {
		honest.report(n, accepted)
		lossy.report(n, accepted)
	}
	step(5, true)
	step(7, true)
	for _, r := range []*reporter{honest, lossy} {
		if r.Delivered.Collections != 12 || r.Pending != (Counters{}) || r.Lost != (Counters{}) || !r.Failing.IsZero() || r.Down() {
			t.Fatalf("while all is well: %+v", r.Delivery)
		}
	}
	step(20, false)
	if honest.Pending.Collections != 20 || honest.Failing != start.Add(3*time.Second) || honest.Down() {
		t.Errorf("after one request that failed: %+v", honest.Delivery)
	}
	step(3, false)
	if honest.Pending.Collections != 23 || honest.Failing != start.Add(3*time.Second) || !honest.Down() {
		t.Errorf("during an outage: %+v", honest.Delivery)
	}
	step(4, true)
	want := Outage{start.Add(3 * time.Second), start.Add(5 * time.Second), Counters{27, 27000}}
	if d := honest.Delivery; d.Delivered.Collections != 39 || d.Pending != (Counters{}) || d.Lost != (Counters{}) ||
		d.Retried != 2 || d.Down() || len(d.Outages) != 1 || d.Outages[0] != want {
		t.Errorf("after the outage: %+v", d)
	}
	// Of the 20 and the 3 that it dropped, 17 show: that the 3 are followed by 4
	// tells nothing.
	if lossy.Lost != (Counters{17, 17000}) {
		t.Errorf("of a reporter that drops reports: %+v", lossy.Delivery)
	}
	step(30, true)
	if honest.Lost != (Counters{}) || lossy.Lost.Collections != 17 {
		t.Errorf("later: %+v and %+v", honest.Delivery, lossy.Delivery)
	}
	for i := 0; i < 2*keepOutages; i++ {
		step(1, false)
		step(1, false)
		step(1, true)
	}
	if len(honest.Outages) != keepOutages || honest.Outages[keepOutages-1].To != honest.clock {
		t.Errorf("%d outages are kept", len(honest.Outages))
	}
}

// Exports tell of collections that no report has brought.
func TestDeliveryBesideExports(t *testing.T) {
	r := &reporter{honest: true}
	counted := func(n float64) { r.Export(endpoint.Export{Values: map[string]float64{"go.memory.gc.cycles": n}}) }
	for range 3 {
		counted(r.now + 2) // the export is ahead of the next report
		r.report(2, true)
	}
	r.Export(endpoint.Export{Refused: "no metric"})
	if r.Exports != 3 || r.ExportRefused != "no metric" || r.Lost != (Counters{}) {
		t.Errorf("while all is well: %+v", r.Delivery)
	}
	counted(r.now + 10)
	for range 3 {
		r.report(1, true)
	}
	if r.Lost.Collections != 8 {
		t.Errorf("of ten collections reports brought two, and then one: %+v", r.Delivery)
	}
}

func TestDeliveryCountsRequests(t *testing.T) {
	var d Delivery
	r := endpoint.Report{Collections: 1}
	for _, a := range []endpoint.Attempt{{Refused: "not JSON"}, {Unread: true}, {Report: r}, {Refused: "not JSON"}, {Report: r}} {
		d.Attempt(a)
	}
	d.Accept(r)
	if d.Attempts != 5 || d.Refused != 2 || d.Accepted != 1 || d.Retried != 4 || d.Lost != (Counters{}) {
		t.Errorf("got %+v", d)
	}
}
