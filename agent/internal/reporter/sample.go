package reporter

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// totals count from the start of the process.
type totals struct {
	collections uint32 // wraps around, as the runtime's own count does
	pauseNS     uint64
}

// gauges are the metrics of package runtime/metrics that are reported, beside the
// fields of runtime.MemStats that they equal, each with what is in front of it in
// a document.
var gauges = [...]struct{ source, before string }{
	{"/memory/classes/heap/objects:bytes", `},"gauges":{"go.memory.heap.bytes":`}, // Alloc
	{"/memory/classes/heap/stacks:bytes", `,"go.memory.stack.bytes":`},            // StackInuse
	{"/gc/heap/objects:objects", `,"go.memory.heap.objects":`},                    // Mallocs - Frees
	{"/gc/heap/goal:bytes", `,"go.gc.goal":`},                                     // NextGC
}

// A sample is what the runtime says at one moment.
type sample struct {
	totals
	gauges     [len(gauges)]uint64
	goroutines uint64
}

// A sampler takes samples without stopping the world and, after the first,
// without allocating. The zero value is ready. runtime.ReadMemStats, which has
// the same figures, stops the world each time. The number of collections and
// their pauses come from debug.ReadGCStats because runtime/metrics has pauses as
// histograms only.
type sampler struct {
	read [len(gauges)]metrics.Sample
	gc   debug.GCStats // its slices are used again by each ReadGCStats
}

func (s *sampler) sample() (now sample, _ error) {
	for i := range gauges {
		s.read[i].Name = gauges[i].source
	}
	metrics.Read(s.read[:])
	for i, r := range s.read {
		// A Go release may drop a metric; Uint64 would panic.
		if r.Value.Kind() != metrics.KindUint64 {
			return now, fmt.Errorf("sampling: runtime/metrics of %s has no number %s", runtime.Version(), r.Name)
		}
		now.gauges[i] = r.Value.Uint64()
	}
	debug.ReadGCStats(&s.gc)
	now.totals = totals{uint32(s.gc.NumGC), uint64(s.gc.PauseTotal)}
	now.goroutines = uint64(runtime.NumGoroutine())
	return now, nil
}
