package reporter

import (
	"fmt"
	"net/http"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
)

// heroku is the format of Heroku's metrics service: JSON, with counters that hold what was
// added since the last delivered document. The zero value is ready.
type heroku struct {
	read        [len(gauges)]metrics.Sample
	gc          debug.GCStats // each ReadGCStats reuses its slices
	acked, sent sample
}

// gauges are metrics of package runtime/metrics, with their names in a document. Each
// equals a field of runtime.MemStats.
var gauges = [...]struct{ name, source string }{
	{"go.memory.heap.bytes", "/memory/classes/heap/objects:bytes"}, // Alloc
	{"go.memory.stack.bytes", "/memory/classes/heap/stacks:bytes"}, // StackInuse
	{"go.memory.heap.objects", "/gc/heap/objects:objects"},         // Mallocs - Frees
	{"go.gc.goal", "/gc/heap/goal:bytes"},                          // NextGC
}

// A sample holds the runtime's figures at one moment. Counts are from the start of the
// process.
type sample struct {
	collections uint32 // wraps around, as the runtime's own count does
	pauseNS     uint64
	gauges      [len(gauges)]uint64
	goroutines  int
}

// sample does not stop the world and, after its first call, does not allocate.
// runtime.ReadMemStats has the same figures but stops the world each time. The number of
// collections and their pauses come from debug.ReadGCStats, because runtime/metrics has
// pauses only as histograms.
func (h *heroku) sample() (now sample, _ error) {
	for i := range gauges {
		h.read[i].Name = gauges[i].source
	}
	metrics.Read(h.read[:])
	for i, r := range h.read {
		// A Go release may drop a metric; Uint64 would panic.
		if r.Value.Kind() != metrics.KindUint64 {
			return now, fmt.Errorf("sampling: runtime/metrics of %s has no number %s", runtime.Version(), r.Name)
		}
		now.gauges[i] = r.Value.Uint64()
	}
	debug.ReadGCStats(&h.gc)
	now.collections, now.pauseNS = uint32(h.gc.NumGC), uint64(h.gc.PauseTotal)
	now.goroutines = runtime.NumGoroutine()
	return now, nil
}

func (h *heroku) header() http.Header {
	return http.Header{"Content-Type": {"application/json"}}
}

func (h *heroku) document() (_ []byte, err error) {
	h.sent, err = h.sample()
	return encode(h.sent, h.acked), err
}

func (h *heroku) retry(status int) bool {
	return status == http.StatusTooManyRequests || status/100 == 5
}

func (h *heroku) delivered([]byte) error {
	h.acked = h.sent
	return nil
}

// encode returns the report of s: counters since acked, and gauges.
func encode(s, acked sample) []byte {
	doc := make([]byte, 0, 320)
	member := func(before, name string, n uint64) {
		doc = append(append(append(doc, before...), name...), `":`...)
		doc = strconv.AppendUint(doc, n, 10)
	}
	member(`{"counters":{"`, "go.gc.collections", uint64(s.collections-acked.collections))
	member(`,"`, "go.gc.pause.ns", s.pauseNS-acked.pauseNS)
	before := `},"gauges":{"`
	for i, n := range s.gauges {
		member(before, gauges[i].name, n)
		before = `,"`
	}
	member(before, "go.routines", uint64(s.goroutines))
	return append(doc, "}}"...)
}
