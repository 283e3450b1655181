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
// added since the last delivered document.
type heroku struct {
	sampler
	acked, sent totals
}

// totals count from the start of the process.
type totals struct {
	collections uint32 // wraps around, as the runtime's own count does
	pauseNS     uint64
}

// gauges are metrics of package runtime/metrics, with their names in a document. Each
// equals a field of runtime.MemStats.
var gauges = [...]struct{ name, source string }{
	{"go.memory.heap.bytes", "/memory/classes/heap/objects:bytes"}, // Alloc
	{"go.memory.stack.bytes", "/memory/classes/heap/stacks:bytes"}, // StackInuse
	{"go.memory.heap.objects", "/gc/heap/objects:objects"},         // Mallocs - Frees
	{"go.gc.goal", "/gc/heap/goal:bytes"},                          // NextGC
}

// A sample holds the runtime's figures at one moment.
type sample struct {
	totals
	gauges     [len(gauges)]uint64
	goroutines uint64
}

// A sampler takes samples without stopping the world and, after the first one, without
// allocating. The zero value is ready. runtime.ReadMemStats has the same figures but stops
// the world each time. The number of collections and their pauses come from
// debug.ReadGCStats, because runtime/metrics has pauses only as histograms.
type sampler struct {
	read [len(gauges)]metrics.Sample
	gc   debug.GCStats // each ReadGCStats reuses its slices
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

func (h *heroku) header() http.Header {
	return http.Header{"Content-Type": {"application/json"}}
}

func (h *heroku) document() ([]byte, error) {
	s, err := h.sample()
	h.sent = s.totals
	return appendDocument(make([]byte, 0, 320), s, h.acked), err
}

func (h *heroku) retry(status int) bool {
	return status == http.StatusTooManyRequests || status/100 == 5
}

func (h *heroku) delivered([]byte) error {
	h.acked = h.sent
	return nil
}

// appendDocument appends the report of s to buf: counters since acked, and gauges.
func appendDocument(buf []byte, s sample, acked totals) []byte {
	member := func(name string, n uint64) {
		if buf[len(buf)-1] != '{' {
			buf = append(buf, ',')
		}
		buf = append(append(append(buf, '"'), name...), `":`...)
		buf = strconv.AppendUint(buf, n, 10)
	}
	buf = append(buf, `{"counters":{`...)
	member("go.gc.collections", uint64(s.collections-acked.collections))
	member("go.gc.pause.ns", s.pauseNS-acked.pauseNS)
	buf = append(buf, `},"gauges":{`...)
	for i, n := range s.gauges {
		member(gauges[i].name, n)
	}
	member("go.routines", s.goroutines)
	return append(buf, "}}"...)
}
