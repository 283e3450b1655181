package reporter

import (
	"fmt"
	"math"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
)

// While the collector is idle, a sample equals runtime.MemStats: counts and pauses exactly,
// sizes within 1 %.
func TestSampleEqualsMemStats(t *testing.T) {
	var h heroku
	live := make([][]byte, 10000) // so that one per cent is something
	for i := range live {
		live[i] = make([]byte, 1000)
	}
	runtime.GC()
	runtime.GC()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	debug.SetGCPercent(100000) // a goal there is, but not one to be reached

	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	got, err := h.sample()
	if err != nil {
		t.Fatal(err)
	}
	runtime.KeepAlive(live)

	if got.collections == 0 || got.collections != m.NumGC {
		t.Errorf("collections %d, MemStats %d", got.collections, m.NumGC)
	}
	if got.pauseNS == 0 || got.pauseNS != m.PauseTotalNs {
		t.Errorf("pause %d ns, MemStats %d", got.pauseNS, m.PauseTotalNs)
	}
	if n := runtime.NumGoroutine(); got.goroutines != n {
		t.Errorf("%d goroutines, runtime %d", got.goroutines, n)
	}
	for _, f := range []struct {
		name      string
		got, want uint64
	}{
		{"heap bytes", got.gauges[0], m.Alloc},
		{"stack bytes", got.gauges[1], m.StackInuse},
		{"heap objects", got.gauges[2], m.Mallocs - m.Frees},
		{"GC goal", got.gauges[3], m.NextGC},
	} {
		if f.want == 0 || math.Abs(float64(f.got)-float64(f.want)) > float64(f.want)/100 {
			t.Errorf("%s: %d, MemStats %d", f.name, f.got, f.want)
		}
	}
}

func TestSamplingDoesNotAllocate(t *testing.T) {
	var h heroku
	for i := 0; i < 300; i++ { // past the 256 pauses that the runtime keeps
		runtime.GC()
	}
	if n := testing.AllocsPerRun(1000, func() { h.sample() }); n != 0 {
		t.Errorf("%v allocations a sample", n)
	}
}

// If a Go release drops a metric, the agent neither panics nor reports a false value.
func TestAMetricThatGoDropped(t *testing.T) {
	defer func(name string) { gauges[1].source = name }(gauges[1].source)
	gauges[1].source = "/no/such:metric"
	var h heroku
	if _, err := h.sample(); err == nil || !strings.Contains(err.Error(), "/no/such:metric") {
		t.Errorf("got %v", err)
	}
}

func TestDocument(t *testing.T) {
	s := sample{7, 1000, [4]uint64{1, 2, 3, 4}, 5}
	got := string(encode(s, sample{collections: 5, pauseNS: 400}))
	want := `{"counters":{"go.gc.collections":2,"go.gc.pause.ns":600},"gauges":{"go.memory.heap.bytes":1,"go.memory.stack.bytes":2,"go.memory.heap.objects":3,"go.gc.goal":4,"go.routines":5}}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// The runtime counts collections in 32 bits.
func TestCollectionsWrapAround(t *testing.T) {
	doc := string(encode(sample{collections: 1}, sample{collections: math.MaxUint32}))
	if !strings.Contains(doc, `"go.gc.collections":2,`) {
		t.Error(doc)
	}
}

// The endpoint accepts the document of any sample, and reads the same numbers.
func FuzzDocument(f *testing.F) {
	f.Add(uint32(1), uint64(2), uint64(3), uint64(4), uint64(5), uint64(6), 7)
	f.Add(uint32(math.MaxUint32), uint64(math.MaxUint64), uint64(math.MaxUint64), uint64(0), uint64(1)<<53, uint64(1)<<63, 1)
	f.Fuzz(func(t *testing.T, collections uint32, pause, heap, stack, objects, goal uint64, goroutines int) {
		doc := encode(sample{collections, pause, [4]uint64{heap, stack, objects, goal}, goroutines}, sample{})
		got, err := endpoint.Parse(doc)
		if err != nil {
			t.Fatalf("%s: %v", doc, err)
		}
		got.Body = nil
		want := endpoint.Report{Collections: float64(collections), PauseNS: float64(pause), HeapBytes: float64(heap), StackBytes: float64(stack), HeapObjects: float64(objects), GCGoal: float64(goal), Goroutines: float64(goroutines)}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s read as %+v", doc, got)
		}
	})
}

func BenchmarkSample(b *testing.B) {
	var h heroku
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		h.sample()
	}
}

func BenchmarkSampleAndEncode(b *testing.B) {
	var h heroku
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		now, _ := h.sample()
		encode(now, sample{})
	}
}
