package reporter

import "runtime/metrics"

// An instrument is a metric that is exported by OTLP.
type instrument struct {
	name, unit, description string
	kind                    kind
	since                   int // minor version of the first Go release that has it
	series                  []series
}

type kind int

const (
	upDownCounter kind = iota // a number that goes up and down
	counter                   // a number that only grows
	histogram                 // counts of values between bounds, since the start
	kinds                     // number of kinds
)

// A series is the values of one point of an instrument: a number or a histogram. If there
// are several, an attribute distinguishes them.
type series struct {
	attribute, value string           // neither if there is one series
	read             []metrics.Sample // the sources, metrics of package runtime/metrics
	acked, sent      value
}

// read returns a series whose value is that of the first source, less the others.
func read(attribute, value string, sources ...string) series {
	s := series{attribute: attribute, value: value}
	for _, name := range sources {
		s.read = append(s.read, metrics.Sample{Name: name})
	}
	return s
}

func only(source string) []series { return []series{read("", "", source)} }

// instruments returns the metrics of OpenTelemetry's conventions for the Go runtime:
// https://opentelemetry.io/docs/specs/semconv/runtime/go-metrics/.
func instruments() []instrument {
	return []instrument{
		{"go.memory.used", "By", "Memory in use by the runtime", upDownCounter, 18, []series{
			read("go.memory.type", "stack", "/memory/classes/heap/stacks:bytes"),
			read("go.memory.type", "other", "/memory/classes/total:bytes", "/memory/classes/heap/stacks:bytes", "/memory/classes/heap/released:bytes"),
		}},
		{"go.memory.limit", "By", "GOMEMLIMIT, if it is set", upDownCounter, 21, only("/gc/gomemlimit:bytes")},
		{"go.memory.allocated", "By", "Bytes allocated on the heap", counter, 18, only("/gc/heap/allocs:bytes")},
		{"go.memory.allocations", "{allocation}", "Allocations on the heap", counter, 18, only("/gc/heap/allocs:objects")},
		{"go.memory.gc.goal", "By", "Heap size at which the next collection starts", upDownCounter, 18, only("/gc/heap/goal:bytes")},
		{"go.memory.gc.cycles", "{gc_cycle}", "Completed collections", counter, 18, only("/gc/cycles/total:gc-cycles")},
		{"go.memory.gc.pause.duration", "s", "Stop-the-world pauses of the collector", histogram, 22, only("/sched/pauses/total/gc:seconds")},
		{"go.goroutine.count", "{goroutine}", "Goroutines, running and waiting", upDownCounter, 18, only("/sched/goroutines:goroutines")},
		{"go.processor.limit", "{thread}", "GOMAXPROCS", upDownCounter, 19, only("/sched/gomaxprocs:threads")},
		{"go.config.gogc", "%", "GOGC, unless it is off", upDownCounter, 21, only("/gc/gogc:percent")},
		{"go.schedule.duration", "s", "How long goroutines that could run waited for a processor", histogram, 18, only("/sched/latencies:seconds")},
		{"go.cpu.time", "s", "Estimated CPU time, brought up to date by each collection", counter, 20, []series{
			read("go.cpu.state", "user", "/cpu/classes/user:cpu-seconds"),
			read("go.cpu.state", "gc", "/cpu/classes/gc/total:cpu-seconds"),
			read("go.cpu.state", "scavenge", "/cpu/classes/scavenge/total:cpu-seconds"),
			read("go.cpu.state", "idle", "/cpu/classes/idle:cpu-seconds"),
		}},
	}
}
