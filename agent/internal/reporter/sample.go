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

// A sample is what the runtime says at one moment.
type sample struct {
	totals
	heapBytes, stackBytes, heapObjects, gcGoal, goroutines uint64
}

// A sampler takes samples without stopping the world and, after the first,
// without allocating. The zero value is ready. runtime.ReadMemStats, which has the same figures, stops
// the world each time. The number of collections and their pauses come from
// debug.ReadGCStats because runtime/metrics has pauses as histograms only.
type sampler struct {
	read [len(sampled)]metrics.Sample
	gc   debug.GCStats // its slices are used again by each ReadGCStats
}

// sampled are the metrics that sample reads, in its order, beside the fields
// of runtime.MemStats that they equal.
var sampled = [...]string{
	"/memory/classes/heap/objects:bytes", // Alloc
	"/memory/classes/heap/stacks:bytes",  // StackInuse
	"/gc/heap/objects:objects",           // Mallocs - Frees
	"/gc/heap/goal:bytes",                // NextGC
}

func (s *sampler) sample() (sample, error) {
	for i, name := range sampled {
		s.read[i].Name = name
	}
	metrics.Read(s.read[:])
	for i := range s.read {
		// A Go release may drop a metric; Uint64 would panic.
		if s.read[i].Value.Kind() != metrics.KindUint64 {
			return sample{}, fmt.Errorf("sampling: runtime/metrics of %s has no number %s", runtime.Version(), s.read[i].Name)
		}
	}
	debug.ReadGCStats(&s.gc)
	return sample{
		totals:      totals{uint32(s.gc.NumGC), uint64(s.gc.PauseTotal)},
		heapBytes:   s.read[0].Value.Uint64(),
		stackBytes:  s.read[1].Value.Uint64(),
		heapObjects: s.read[2].Value.Uint64(),
		gcGoal:      s.read[3].Value.Uint64(),
		goroutines:  uint64(runtime.NumGoroutine()),
	}, nil
}
