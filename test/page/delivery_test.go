package page

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/dsnet/try"
	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
)

// A step is how many collections there were since the step before, and what comes
// then, a second later: a report that is accepted (+), is not (-), is not and whose
// process tells it never again (x), is refused (!) or is not read (?); an export (e),
// which takes no time; or nothing, as the process drops what it has counted (d).
func TestDelivery(t *testing.T) {
	for steps, want := range map[string]string{
		"5+ 7+":           "delivered 12, pending 0, lost 0; 2 accepted, 0 retried, 0 refused; 0 outages",
		"5+ 20-":          "delivered 5, pending 20, lost 0; 1 accepted, 0 retried, 0 refused; 0 outages",
		"5+ 20- 3-":       "delivered 5, pending 23, lost 0; 1 accepted, 1 retried, 0 refused; 0 outages; down since 2",
		"5+ 20- 3- 4+ 9+": "delivered 41, pending 0, lost 0; 3 accepted, 2 retried, 0 refused; 1 outages, from 2 to 4, brought 27",
		// Of the 20 and the 3, 17 show: that the 3 are followed by 4 tells nothing.
		"5+ 20x 3x 4+ 9+": "delivered 18, pending 0, lost 17; 3 accepted, 2 retried, 0 refused; 1 outages, from 2 to 4, brought 4",
		"1! 1? 1- 1! 1+":  "delivered 5, pending 0, lost 0; 1 accepted, 4 retried, 2 refused; 1 outages, from 1 to 5, brought 5",

		// An export is ahead of the next report.
		"2e 0+ 2e 0+ 2e 0+":     "delivered 6, pending 0, lost 0; 3 accepted, 0 retried, 0 refused; 0 outages",
		"2e 0+ 10e 0d 1+ 1+ 1+": "delivered 5, pending 0, lost 8; 4 accepted, 0 retried, 0 refused; 0 outages",
	} {
		var d Delivery
		counted, reported, clock := 0.0, 0.0, int64(0)
		for _, step := range strings.Fields(steps) {
			n, what := 0, ' '
			try.E1(fmt.Sscanf(step, "%d%c", &n, &what))
			counted += float64(n)
			if what == 'e' {
				d.Export(endpoint.Export{Values: map[string]float64{"go.memory.gc.cycles": counted}})
				continue
			}
			clock++
			r := endpoint.Report{Received: time.Unix(clock, 0)}
			a := endpoint.Attempt{Report: r, Unread: what == '?'}
			if what == '!' {
				a.Refused = "not JSON"
			}
			if r.Collections, r.PauseNS = counted-reported, 1000*(counted-reported); strings.ContainsRune("+-x", what) {
				a.Report = r
			}
			if what != 'd' {
				d.Attempt(a)
			}
			if what == '+' {
				d.Accept(r)
			}
			if strings.ContainsRune("+xd", what) {
				reported = counted
			}
		}
		got := fmt.Sprintf("delivered %v, pending %v, lost %v; %d accepted, %d retried, %d refused; %d outages",
			d.Delivered.Collections, d.Pending.Collections, d.Lost.Collections, d.Accepted, d.Retried, d.Refused, len(d.Outages))
		if len(d.Outages) > 0 {
			got += fmt.Sprintf(", from %d to %d, brought %v", d.Outages[0].From.Unix(), d.Outages[0].To.Unix(), d.Outages[0].Brought.Collections)
		}
		if d.Down() {
			got += fmt.Sprintf("; down since %d", d.Failing.Unix())
		}
		if got != want || !strings.Contains(steps, "e") && d.Lost.PauseNS != 1000*d.Lost.Collections || d.Pending.PauseNS != 1000*d.Pending.Collections {
			t.Errorf("%s\n is %s, %v,\nnot %s", steps, got, d.Counts, want)
		}
	}
}
