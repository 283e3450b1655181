package page

import "github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"

// A figure is a chart of one or more lines of the same unit.
type figure struct {
	ID, Name string
	Is       string // what a newcomer would ask
	Unit     string // bytes, count, ns or cores
	// Kind is gauge for a value at the time of the row, counter for what was added since
	// the previous row, and interval for an average since then.
	Kind  string
	Lines []string
	Lacks string // where the chart is empty, why it is
}

// reportFigures are the charts of Heroku's dashboard, with the names in its documentation.
var reportFigures = []figure{
	{"heap", "Heap memory usage", "allocated heap objects, and the heap size at which the next collection starts",
		"bytes", "gauge", []string{"heap", "goal"}, ""},
	{"gcs", "GC collection count", "garbage collections", "count", "counter", []string{"collections"}, ""},
	{"pause", "GC stop-the-world time", "time in which the garbage collector stopped the process", "ns", "counter", []string{"stopped"}, ""},
	{"stack", "Stack memory usage", "stack spans in use", "bytes", "gauge", []string{"stack"}, ""},
	{"objects", "Heap object count", "live heap objects", "count", "gauge", []string{"objects"}, ""},
	{"goroutines", "Goroutine count", "running and waiting goroutines", "count", "gauge", []string{"goroutines"}, ""},
}

// cpuStates are the states of used CPU time. Idle time is not drawn.
var cpuStates = []string{"user", "gc", "scavenge", "idle"}

// exportFigures are charts of metrics that Heroku does not draw.
var exportFigures = []figure{
	{"latency", "Scheduler latency", "how long goroutines that could run waited for a processor: half of them, and 99 of 100, less than that",
		"ns", "interval", []string{"median", "99th percentile"}, "Comes with the first goroutine that waits."},
	{"cpu", "CPU in use", "what processors did between two collections: run the program, collect garbage, give memory back; and how many there are (GOMAXPROCS). An estimate",
		"cores", "interval", []string{"user", "gc", "scavenge", "limit"}, "Comes with the first garbage collection, from Go 1.20 on."},
	{"memory", "Memory and its limit", "memory in use by the runtime, and GOMEMLIMIT if it is set", "bytes", "gauge", []string{"used", "limit"}, ""},
}

// absent stands for a missing value.
const absent = -1

// exportValues returns the values of an export. Cumulative values are converted to what was
// added since the previous export.
func exportValues(e, before endpoint.Export) []float64 {
	if e.Resource["service.instance.id"] != before.Resource["service.instance.id"] {
		before = endpoint.Export{} // the process was started again, and counts from 0
	}
	waits, had := e.Histograms["go.schedule.duration"], before.Histograms["go.schedule.duration"]
	values := []float64{quantile(.5, waits, had), quantile(.99, waits, had)}
	// The runtime updates the classes at each collection. Their sum is the time of all
	// processors between two collections.
	total := 0.0
	classes := make([]float64, len(cpuStates))
	for i, state := range cpuStates {
		key := "go.cpu.time{" + state + "}"
		classes[i] = max(0, e.Values[key]-before.Values[key])
		total += classes[i]
	}
	processors, ok := e.Values["go.processor.limit"]
	if !ok {
		processors = absent
	}
	for _, seconds := range classes[:len(classes)-1] {
		values = append(values, processors*seconds/total) // without a collection, 0/0
	}
	values = append(values, processors)
	limit, ok := e.Values["go.memory.limit"]
	if !ok {
		limit = absent
	}
	return append(values, e.Values["go.memory.used{stack}"]+e.Values["go.memory.used{other}"], limit)
}

// quantile returns, in ns, a quantile of the values that a histogram of seconds counted since
// an earlier one. Within a bucket it interpolates, as PromQL's histogram_quantile does.
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
func bounded(values []float64) []float64 {
	for i, v := range values {
		if values[i] = min(v, 1e15); !(v >= 0) {
			values[i] = absent
		}
	}
	return values
}
