package page

import (
	"slices"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
)

// Limits on what is kept of one process: an hour of one report a second, documents, outages.
const keepRows, keepDocuments, keepOutages = 3600, 8, 100

// A history keeps the newest reports or exports.
type history struct {
	Figures []figure
	rows    [][]float64 // the time in ms, and the values of the lines of all figures
	total   int         // that were ever added
}

func (h *history) add(received time.Time, values ...float64) {
	h.total++
	h.rows = append(h.rows, append([]float64{float64(received.UnixMilli())}, bounded(values)...))
	h.rows = slices.Delete(h.rows, 0, max(0, len(h.rows)-keepRows))
}

// after returns the kept rows after the first n of all rows.
func (h *history) after(n int) [][]float64 {
	new := min(max(0, h.total-n), len(h.rows))
	return append([][]float64{}, h.rows[len(h.rows)-new:]...) // h.rows is changed in place
}

// Age returns the age of the newest row, or nothing.
func (h *history) Age() string {
	if len(h.rows) == 0 {
		return ""
	}
	return time.Since(time.UnixMilli(int64(h.rows[len(h.rows)-1][0]))).Round(time.Second).String()
}

// A process is what the page knows of a process that reports. Page.mu guards it.
type process struct {
	Name             string
	NoOTLP           string // why it sends nothing by OTLP, if that is known
	Delivery         Delivery
	Reports, Exports history
	Documents        []string // of the newest reports as they came, the last one first
	newest           endpoint.Export
}

func (proc *process) report(r endpoint.Report) {
	proc.Delivery.Accept(r)
	proc.Reports.add(r.Received, r.HeapBytes, r.GCGoal, r.Collections, r.PauseNS, r.StackBytes, r.HeapObjects, r.Goroutines)
	proc.Documents = append([]string{string(r.Body)}, proc.Documents[:min(len(proc.Documents), keepDocuments-1)]...)
}

func (proc *process) export(e endpoint.Export) {
	proc.Delivery.Export(e)
	if e.Refused == "" {
		proc.Exports.add(e.Received, exportValues(e, proc.newest)...)
		proc.newest = e
	}
}

// outages returns the begin and the end of each outage, in ms.
func (proc *process) outages() [][2]int64 {
	list := [][2]int64{}
	for _, o := range proc.Delivery.Outages {
		list = append(list, [2]int64{o.From.UnixMilli(), o.To.UnixMilli()})
	}
	if proc.Delivery.Down() {
		list = append(list, [2]int64{proc.Delivery.Failing.UnixMilli(), time.Now().UnixMilli()})
	}
	return list
}
