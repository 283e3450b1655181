package reporter

// An instrument is a metric that is exported by OTLP.
type instrument struct {
	name, unit, description string
	kind                    kind
	since                   int // minor version of the first Go release that has it
	points                  []point
}

type kind int

const (
	upDownCounter kind = iota // a number that goes up and down
	counter                   // a number that only grows
	histogram                 // counts of values between bounds, since the start
	kinds                     // number of kinds
)

// A point is one number or histogram of an instrument. If there are several, the value of an
// attribute distinguishes them.
type point struct {
	attribute, value string
	sources          []string // metrics of package runtime/metrics: the first, less the others
}

// instruments are the metrics of OpenTelemetry's conventions for the Go runtime:
// https://opentelemetry.io/docs/specs/semconv/runtime/go-metrics/.
var instruments = []instrument{
	{"go.memory.used", "By", "Memory in use by the runtime", upDownCounter, 18, []point{
		{"go.memory.type", "stack", []string{"/memory/classes/heap/stacks:bytes"}},
		{"go.memory.type", "other", []string{"/memory/classes/total:bytes", "/memory/classes/heap/stacks:bytes", "/memory/classes/heap/released:bytes"}},
	}},
	{"go.memory.limit", "By", "GOMEMLIMIT, if it is set", upDownCounter, 21, []point{{sources: []string{"/gc/gomemlimit:bytes"}}}},
	{"go.memory.allocated", "By", "Bytes allocated on the heap", counter, 18, []point{{sources: []string{"/gc/heap/allocs:bytes"}}}},
	{"go.memory.allocations", "{allocation}", "Allocations on the heap", counter, 18, []point{{sources: []string{"/gc/heap/allocs:objects"}}}},
	{"go.memory.gc.goal", "By", "Heap size at which the next collection starts", upDownCounter, 18, []point{{sources: []string{"/gc/heap/goal:bytes"}}}},
	{"go.memory.gc.cycles", "{gc_cycle}", "Completed collections", counter, 18, []point{{sources: []string{"/gc/cycles/total:gc-cycles"}}}},
	{"go.memory.gc.pause.duration", "s", "Stop-the-world pauses of the collector", histogram, 22, []point{{sources: []string{"/sched/pauses/total/gc:seconds"}}}},
	{"go.goroutine.count", "{goroutine}", "Goroutines, running and waiting", upDownCounter, 18, []point{{sources: []string{"/sched/goroutines:goroutines"}}}},
	{"go.processor.limit", "{thread}", "GOMAXPROCS", upDownCounter, 19, []point{{sources: []string{"/sched/gomaxprocs:threads"}}}},
	{"go.config.gogc", "%", "GOGC, unless it is off", upDownCounter, 21, []point{{sources: []string{"/gc/gogc:percent"}}}},
	{"go.schedule.duration", "s", "How long goroutines that could run waited for a processor", histogram, 18, []point{{sources: []string{"/sched/latencies:seconds"}}}},
	{"go.cpu.time", "s", "Estimated CPU time, brought up to date by each collection", counter, 20, []point{
		{"go.cpu.state", "user", []string{"/cpu/classes/user:cpu-seconds"}},
		{"go.cpu.state", "gc", []string{"/cpu/classes/gc/total:cpu-seconds"}},
		{"go.cpu.state", "scavenge", []string{"/cpu/classes/scavenge/total:cpu-seconds"}},
		{"go.cpu.state", "idle", []string{"/cpu/classes/idle:cpu-seconds"}},
	}},
}
