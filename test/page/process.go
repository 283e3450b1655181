package page

import (
	"fmt"
	"slices"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
)

// Bounds of what is kept of one process.
const (
	keepRows  = 3600    // an hour of one report a second
	keepBytes = 4 << 20 // of documents; 3600 real ones have less than 1 MiB
)

// A row is a report, or an export by OTLP.
type row struct {
	N        int // counts those of the process, from 1
	Received time.Time
	Values   []float64 // of the lines of reportFigures or exportFigures
	Body     []byte    // a report's document
}

// A history keeps the newest rows.
type history struct {
	rows  []row
	total int // that were ever added
	bytes int // of the documents in rows
}

func (h *history) add(r row) {
	h.total++
	r.N = h.total
	h.rows = append(h.rows, r)
	h.bytes += len(r.Body)
	drop := 0
	for ; len(h.rows)-drop > keepRows || h.bytes > keepBytes; drop++ {
		h.bytes -= len(h.rows[drop].Body)
	}
	h.rows = slices.Delete(h.rows, 0, drop)
}

// since returns the rows after the one with the given number that are kept.
func (h *history) since(n int) []row {
	gone := h.total - len(h.rows)
	return h.rows[min(max(0, n-gone), len(h.rows)):]
}

// A process is what is known of one that reports. It is guarded by Page.mu.
type process struct {
	index    int
	name     string
	noOTLP   string // why it sends nothing by OTLP, if that is known
	version  int    // grows with each change
	delivery Delivery
	reports  history
	exports  history
	export   endpoint.Export // the newest one
}

// data is what the templates show of a process.
func (proc *process) data() map[string]any {
	d := &proc.delivery
	type account struct{ Name, Accepted, Pending, Lost string }
	accounts := []account{
		{"GC collections", endpoint.Count(d.Delivered.Collections), endpoint.Count(d.Pending.Collections), endpoint.Count(d.Lost.Collections)},
		{"GC stop-the-world time", endpoint.Duration(d.Delivered.PauseNS), endpoint.Duration(d.Pending.PauseNS), endpoint.Duration(d.Lost.PauseNS)},
	}
	data := map[string]any{
		"ID": proc.id(), "Name": proc.name, "Delivery": d, "Accounts": accounts, "AnyLost": d.Lost != Counters{},
		"Reports": proc.table(8), "Kept": len(proc.reports.rows),
		"Exports": tableOf(&proc.exports, exportFigures, 8), "NoOTLP": proc.noOTLP,
		"ReportFigures": reportFigures, "ExportFigures": exportFigures, "Missing": proc.missing(),
	}
	if n := len(d.Outages); n > 0 {
		data["Outage"], data["Brought"] = d.Outages[n-1], endpoint.Count(d.Outages[n-1].Brought.Collections)
	}
	return data
}

func (proc *process) id() string { return fmt.Sprint("p", proc.index) }

// A table shows rows, the newest first.
type table struct {
	Link    string // to a row's document, but for its number
	Columns []string
	Rows    []tableRow
}

type tableRow struct {
	row
	Cells []string
}

// table returns up to n of the newest reports.
func (proc *process) table(n int) table {
	t := tableOf(&proc.reports, reportFigures, n)
	t.Link = fmt.Sprintf("/reports/%d/", proc.index)
	return t
}

func tableOf(h *history, figures []figure, n int) (t table) {
	for _, f := range figures {
		t.Columns = append(t.Columns, f.Lines...)
	}
	for _, r := range slices.Backward(h.since(h.total - n)) {
		t.Rows = append(t.Rows, tableRow{r, cells(figures, r.Values)})
	}
	return t
}
