package page

import (
	"math"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
)

// Counters are the two counters of a process: what a report brings, or what has
// come together since the process started.
type Counters struct {
	Collections float64 // garbage collections completed
	PauseNS     float64 // stop-the-world time of the collector, ns
}

func (c Counters) plus(d Counters) Counters {
	return Counters{c.Collections + d.Collections, c.PauseNS + d.PauseNS}
}

func (c Counters) minus(d Counters) Counters {
	return Counters{c.Collections - d.Collections, c.PauseNS - d.PauseNS}
}

func (c Counters) min(d Counters) Counters {
	return Counters{math.Min(c.Collections, d.Collections), math.Min(c.PauseNS, d.PauseNS)}
}

func (c Counters) max(d Counters) Counters {
	return Counters{math.Max(c.Collections, d.Collections), math.Max(c.PauseNS, d.PauseNS)}
}

func countersOf(r endpoint.Report) Counters { return Counters{r.Collections, r.PauseNS} }

// Totals are a process's own counters from its start, as somebody knows them who
// did not learn them from its reports. A report that has just come was made
// between two moments.
type Totals struct{ Before, Now Counters }

// A ledger tells whether a process loses counts.
//
// Whatever a reporter sends, its newest document claims a total: the counters of
// all documents that were accepted, and its own, which are pending until it is
// accepted, too. Where the process's own totals are known, the claim must be one
// of them.
//
// Where they are not, documents bear witness against each other: a document that
// was not accepted has told of counts, and so the next one must claim no less. A
// reporter that drops what it could not deliver is found out as soon as an
// interval brings less than the one that was dropped.
type ledger struct {
	attempts, retried, accepted, refused, unread int // requests

	delivered Counters // in accepted documents
	pending   Counters // in the newest document, if it has not been accepted
	waiting   bool     // whether there is such a document

	total      Counters // what delivered and pending should come to
	lost, over Counters // by how much they fell short, and went beyond
	own        bool     // whether total is the process's own
	claimed    Counters // the total that the newest document claims
}

// attempt enters a document that has arrived. totals are nil if the process's own
// are not known.
func (l *ledger) attempt(a endpoint.Attempt, totals *Totals) {
	l.attempts++
	if l.waiting {
		l.retried++
	}
	switch {
	case a.Refused != "":
		l.refused++
		return
	case a.Unread:
		l.unread++
		return
	}
	document := countersOf(a.Report)
	again := l.waiting && document == l.pending
	l.pending, l.waiting = document, true
	if again {
		return // it may be as old as the first of its kind, whose claim was looked at
	}
	claim := l.delivered.plus(document)
	defer func() { l.claimed = claim }()
	l.own = totals != nil
	if totals != nil {
		l.total = claim.max(totals.Before).min(totals.Now.max(totals.Before))
		l.lost = l.total.minus(claim).max(Counters{})
		l.over = claim.minus(l.total).max(Counters{})
		return
	}
	l.lost = l.lost.plus(l.claimed.minus(claim).max(Counters{}))
	l.total = claim.plus(l.lost)
}

// accept enters that a document was accepted.
func (l *ledger) accept(r endpoint.Report) {
	l.accepted++
	document := countersOf(r)
	l.delivered = l.delivered.plus(document)
	if l.waiting && document == l.pending {
		l.pending, l.waiting = Counters{}, false
	}
}
