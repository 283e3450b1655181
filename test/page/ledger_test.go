package page

import (
	"testing"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
)

// A reporter makes documents as real ones do, of a process whose counters it
// knows. It is honest if it tells again what was not accepted, as the agent does,
// and lossy if it does not, as github.com/heroku/x/hmetrics.
type reporter struct {
	honest    bool
	now, told Counters
	l         ledger
	own       bool // whether somebody knows the process's totals
}

// report makes and sends a document after n more collections.
func (r *reporter) report(n float64, accepted bool) {
	r.now = r.now.plus(Counters{n, 1000 * n})
	d := r.now.minus(r.told)
	report := endpoint.Report{Collections: d.Collections, PauseNS: d.PauseNS}
	var totals *Totals
	if r.own {
		totals = &Totals{Before: r.now, Now: r.now}
	}
	r.l.attempt(endpoint.Attempt{Report: report}, totals)
	if accepted {
		r.l.accept(report)
	}
	if accepted || !r.honest {
		r.told = r.now
	}
}

func (l *ledger) holds() bool { return l.lost == Counters{} && l.over == Counters{} }

func TestLedger(t *testing.T) {
	for name, own := range map[string]bool{"totals known": true, "totals unknown": false} {
		t.Run(name, func(t *testing.T) {
			honest := &reporter{honest: true, own: own}
			lossy := &reporter{own: own}
			step := func(n float64, accepted bool) {
				honest.report(n, accepted)
				lossy.report(n, accepted)
			}
			step(5, true)
			step(7, true)
			for _, r := range []*reporter{honest, lossy} {
				if !r.l.holds() || r.l.delivered.Collections != 12 || r.l.total.Collections != 12 {
					t.Fatalf("while all is well the ledger says %+v", r.l)
				}
			}
			step(20, false)
			if l := honest.l; !l.holds() || l.pending.Collections != 20 || l.total.Collections != 32 {
				t.Errorf("one document is pending, and the ledger says %+v", l)
			}
			step(3, false)
			step(4, true)
			if l := honest.l; !l.holds() || l.delivered.Collections != 39 || l.total.Collections != 39 || l.waiting || l.retried != 2 {
				t.Errorf("all is delivered, and the ledger says %+v", l)
			}
			// 20 and 3 were dropped. Who does not know the totals sees 20 followed
			// by 3, which is 17 too few; that 3 is followed by 4 tells nothing.
			want := map[bool]float64{true: 23, false: 17}[own]
			if l := lossy.l; l.holds() || l.lost.Collections != want || l.lost.PauseNS != 1000*want {
				t.Errorf("23 are lost, and the ledger says %+v", l)
			}
			step(30, true)
			if honest.l.lost.Collections != 0 || lossy.l.lost.Collections != want {
				t.Errorf("later, the ledgers say %+v and %+v", honest.l, lossy.l)
			}
		})
	}
}

// What comes twice is found out by who knows the totals.
func TestLedgerCountsTwice(t *testing.T) {
	var l ledger
	r := endpoint.Report{Collections: 10}
	for i := 0; i < 2; i++ {
		l.attempt(endpoint.Attempt{Report: r}, &Totals{Counters{8, 0}, Counters{11, 0}})
		l.accept(r)
	}
	if l.over.Collections != 9 || l.total.Collections != 11 {
		t.Errorf("20 were reported of 8 to 11, and the ledger says %+v", l)
	}
}

// Collections between the making of a document and its arrival are not lost.
func TestLedgerAllowsForTheWay(t *testing.T) {
	var l ledger
	l.attempt(endpoint.Attempt{Report: endpoint.Report{Collections: 10}}, &Totals{Counters{8, 0}, Counters{11, 0}})
	if !l.holds() || l.total.Collections != 10 {
		t.Errorf("10 were reported of 8 to 11, and the ledger says %+v", l)
	}
	l.attempt(endpoint.Attempt{Report: endpoint.Report{Collections: 10}}, &Totals{Counters{50, 0}, Counters{50, 0}})
	if !l.holds() || l.retried != 1 {
		t.Errorf("the same document came again, later, and the ledger says %+v", l)
	}
}

func TestLedgerCountsRequests(t *testing.T) {
	var l ledger
	l.attempt(endpoint.Attempt{Refused: "not JSON"}, nil)
	l.attempt(endpoint.Attempt{Unread: true}, nil)
	r := endpoint.Report{Collections: 1}
	l.attempt(endpoint.Attempt{Report: r}, nil)
	l.attempt(endpoint.Attempt{Refused: "not JSON"}, nil)
	l.attempt(endpoint.Attempt{Report: r}, nil)
	l.accept(r)
	if l.attempts != 5 || l.refused != 2 || l.unread != 1 || l.accepted != 1 || l.retried != 2 {
		t.Errorf("the ledger says %+v", l)
	}
}
