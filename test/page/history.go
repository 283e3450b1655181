package page

import "github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"

// Bounds of what is kept of one process.
const (
	keepReports = 3600    // an hour of one report a second
	keepBytes   = 4 << 20 // of documents; 3600 real ones have less than 1 MiB
)

// A history keeps the newest reports of a process.
type history struct {
	reports []endpoint.Report
	first   int // the number of reports[0]; a process's reports count from 1
	bytes   int // of the documents
}

func (h *history) add(r endpoint.Report) {
	if h.first == 0 {
		h.first = 1
	}
	h.reports = append(h.reports, r)
	h.bytes += len(r.Body)
	drop := 0
	for ; len(h.reports)-drop > keepReports || h.bytes > keepBytes; drop++ {
		h.bytes -= len(h.reports[drop].Body)
	}
	if drop > 0 {
		h.reports = append(h.reports[:0], h.reports[drop:]...)
		h.first += drop
	}
}

// get returns the report with the given number, if it is still kept.
func (h *history) get(n int) (endpoint.Report, bool) {
	if i := n - h.first; h.first > 0 && i >= 0 && i < len(h.reports) {
		return h.reports[i], true
	}
	return endpoint.Report{}, false
}

// last returns the newest report and its number, 0 if there is none.
func (h *history) last() (endpoint.Report, int) {
	if len(h.reports) == 0 {
		return endpoint.Report{}, 0
	}
	return h.reports[len(h.reports)-1], h.first + len(h.reports) - 1
}

// A column is what charts show at one place: a report, or several one after the
// other, of each figure the highest.
type column struct {
	endpoint.Report     // Received, and N, are the last one's
	N               int // number of the last report
	Of              int // how many reports
}

// columns returns the newest reports, at most limit columns of as many reports
// each as it takes to show up to reach reports.
func (h *history) columns(limit, reach int) []column {
	list, first := h.reports, h.first
	if len(list) > reach {
		first += len(list) - reach
		list = list[len(list)-reach:]
	}
	each := (len(list) + limit - 1) / limit
	var cols []column
	for i, r := range list {
		n := first + i
		// By its number a report is always in one column with the same others.
		if last := len(cols) - 1; last >= 0 && (n-1)/each == (cols[last].N-1)/each {
			c := &cols[last]
			c.Report, c.N, c.Of = highest(c.Report, r), n, c.Of+1
			continue
		}
		cols = append(cols, column{Report: r, N: n, Of: 1})
	}
	if len(cols) > limit {
		cols = cols[1:] // the oldest reports do not fill a column
	}
	return cols
}

// highest returns b with the higher of the two of each figure.
func highest(a, b endpoint.Report) endpoint.Report {
	for _, f := range []struct {
		v *float64
		w float64
	}{
		{&b.Collections, a.Collections},
		{&b.PauseNS, a.PauseNS},
		{&b.HeapBytes, a.HeapBytes},
		{&b.StackBytes, a.StackBytes},
		{&b.HeapObjects, a.HeapObjects},
		{&b.GCGoal, a.GCGoal},
		{&b.Goroutines, a.Goroutines},
	} {
		if f.w > *f.v {
			*f.v = f.w
		}
	}
	return b
}

// newest returns up to n reports, the newest first, each as a column of its own.
func (h *history) newest(n int) []column {
	var cols []column
	for i := len(h.reports) - 1; i >= 0 && len(cols) < n; i-- {
		cols = append(cols, column{Report: h.reports[i], N: h.first + i, Of: 1})
	}
	return cols
}
