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

// A row is a report and its number.
type row struct {
	N int
	endpoint.Report
}

// newest returns up to n reports, the newest first.
func (h *history) newest(n int) []row {
	var rows []row
	for i := len(h.reports) - 1; i >= 0 && len(rows) < n; i-- {
		rows = append(rows, row{h.first + i, h.reports[i]})
	}
	return rows
}

// since returns the reports after the one with the given number as page.js takes
// them: their numbers, times in ms and values, in the order of the constants there.
func (h *history) since(n int) (rows [][]float64, last int) {
	for i := max(0, n+1-h.first); i < len(h.reports); i++ {
		r := h.reports[i]
		values := []float64{r.HeapBytes, r.GCGoal, r.StackBytes, r.HeapObjects, r.Goroutines, r.Collections, r.PauseNS}
		for j := range values {
			values[j] = min(values[j], 1e15) // no chart has room for more
		}
		rows = append(rows, append([]float64{float64(h.first + i), float64(r.Received.UnixMilli())}, values...))
	}
	return rows, h.first + len(h.reports) - 1
}
