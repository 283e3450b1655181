package page

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
)

// A figure is a chart of one or more lines of the same unit.
type figure struct {
	ID, Name string
	Is       string // what a newcomer would ask
	Unit     string // bytes, count, ns or cores
	// Kind is gauge for what was so when the row was made, counter for what has
	// been added since the row before, and interval for an average of that time.
	Kind  string
	Lines []string

	First int // the place of the first line's value in a row

	// Of an export: the value or histogram without which there is no chart, the
	// first Go release that has it, and what its first value comes with.
	Metric, From, With string
}

// reportFigures are what Heroku's dashboard draws, by the names of its documentation.
var reportFigures = place([]figure{
	{ID: "heap", Name: "Heap memory usage", Is: "allocated heap objects, and the heap size at which the next collection starts", Unit: "bytes", Kind: "gauge", Lines: []string{"heap", "goal"}},
	{ID: "gcs", Name: "GC collection count", Is: "garbage collections", Unit: "count", Kind: "counter", Lines: []string{"collections"}},
	{ID: "pause", Name: "GC stop-the-world time", Is: "time in which the garbage collector stopped the process", Unit: "ns", Kind: "counter", Lines: []string{"stopped"}},
	{ID: "stack", Name: "Stack memory usage", Is: "stack spans in use", Unit: "bytes", Kind: "gauge", Lines: []string{"stack"}},
	{ID: "objects", Name: "Heap object count", Is: "live heap objects", Unit: "count", Kind: "gauge", Lines: []string{"objects"}},
	{ID: "goroutines", Name: "Goroutine count", Is: "running and waiting goroutines", Unit: "count", Kind: "gauge", Lines: []string{"goroutines"}},
})

func reportValues(r endpoint.Report) []float64 {
	return bounded(r.HeapBytes, r.GCGoal, r.Collections, r.PauseNS, r.StackBytes, r.HeapObjects, r.Goroutines)
}

var cpuStates = []string{"user", "gc", "scavenge", "idle"}

// exportFigures are of metrics that Heroku does not draw.
var exportFigures = place([]figure{
	{ID: "latency", Name: "Scheduler latency", Is: "how long goroutines that could run waited for a processor: half of them less than the median, 99 of 100 less than the other line", Unit: "ns", Kind: "interval", Lines: []string{"median", "99th percentile"},
		Metric: "go.schedule.duration", From: "1.18", With: "the first goroutine that waits"},
	{ID: "cpu", Name: "CPU by class", Is: "processors that ran the program, collected garbage, gave memory back to the system and were idle, from one collection to the next: an estimate of the runtime", Unit: "cores", Kind: "interval", Lines: cpuStates,
		Metric: "go.cpu.time{user}", From: "1.20", With: "the first garbage collection, which brings it up to date"},
	{ID: "memory", Name: "Memory and its limit", Is: "memory in use by the runtime, and GOMEMLIMIT if it is set", Unit: "bytes", Kind: "gauge", Lines: []string{"used", "limit"},
		Metric: "go.memory.used{other}", From: "1.18"},
})

func place(figures []figure) []figure {
	for i := range figures[1:] {
		figures[i+1].First = figures[i].First + len(figures[i].Lines)
	}
	return figures
}

// absent stands for a value that there is not, which JSON has no number for.
const absent = -1

// exportValues returns the values of an export, for what is cumulative those of the
// time since the export before.
func exportValues(e, before endpoint.Export) []float64 {
	if e.Resource["service.instance.id"] != before.Resource["service.instance.id"] {
		before = endpoint.Export{} // the process was started again, and counts from 0
	}
	waits, had := e.Histograms["go.schedule.duration"], before.Histograms["go.schedule.duration"]
	values := []float64{quantile(.5, waits, had), quantile(.99, waits, had)}
	// The runtime brings the classes up to date with each collection. Their sum is
	// the time of all processors between the two.
	total := 0.0
	classes := make([]float64, len(cpuStates))
	for i, state := range cpuStates {
		key := "go.cpu.time{" + state + "}"
		classes[i] = max(0, e.Values[key]-before.Values[key])
		total += classes[i]
	}
	for _, seconds := range classes {
		if total > 0 {
			values = append(values, e.Values["go.processor.limit"]*seconds/total)
		} else {
			values = append(values, absent)
		}
	}
	limit, ok := e.Values["go.memory.limit"]
	if !ok {
		limit = absent
	}
	return bounded(append(values, e.Values["go.memory.used{stack}"]+e.Values["go.memory.used{other}"], limit)...)
}

// quantile returns below how many ns the given part is of what a histogram of
// seconds has counted since an earlier one. Within a bucket it interpolates, as
// PromQL's histogram_quantile does.
func quantile(part float64, h, before endpoint.Histogram) float64 {
	rank := part * float64(h.Count-before.Count)
	if rank <= 0 || len(h.Bounds) == 0 {
		return absent
	}
	lower, sum := 0.0, 0.0
	for i, upper := range h.Bounds {
		n := float64(h.Counts[i])
		if i < len(before.Counts) {
			n -= float64(before.Counts[i])
		}
		if sum += n; sum >= rank {
			return 1e9 * (upper - (upper-lower)*(sum-rank)/n)
		}
		lower = upper
	}
	return 1e9 * lower // or more
}

// bounded returns values that every chart has room for.
func bounded(values ...float64) []float64 {
	for i, v := range values {
		if values[i] = min(v, 1e15); !(v >= 0) {
			values[i] = absent
		}
	}
	return values
}

// cells renders values for people.
func cells(figures []figure, values []float64) (cells []string) {
	render := map[string]func(float64) string{
		"bytes": endpoint.Bytes, "count": endpoint.Count, "ns": endpoint.Duration,
		"cores": func(v float64) string { return fmt.Sprintf("%.2f", v) },
	}
	for _, f := range figures {
		for _, v := range values[f.First : f.First+len(f.Lines)] {
			if v == absent {
				cells = append(cells, "–")
			} else {
				cells = append(cells, render[f.Unit](v))
			}
		}
	}
	return cells
}

// missing says which charts of exports there are not, and why.
func (proc *process) missing() (sentences []string) {
	for _, f := range exportFigures {
		_, value := proc.export.Values[f.Metric]
		_, histogram := proc.export.Histograms[f.Metric]
		name, _, _ := strings.Cut(f.Metric, "{")
		switch {
		case slices.ContainsFunc(proc.exports.rows, func(r row) bool { return r.Values[f.First] != absent }):
		case value || histogram:
			sentences = append(sentences, fmt.Sprintf("%s comes with %s.", f.Name, f.With))
		default:
			sentences = append(sentences, fmt.Sprintf("%s is not there: programs have %s if they were built with Go %s or newer.", f.Name, name, f.From))
		}
	}
	return sentences
}
