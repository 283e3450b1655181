package peer

import (
	"bytes"
	"context"
	"io"
	"math"
	"net/http"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
)

// In one process, with the collector quiesced, both say the same: counts and
// pause exactly, sizes within 1 %.
func TestParity(t *testing.T) {
	s := new(sampler)
	live := make([][]byte, 10000)
	for i := range live {
		live[i] = make([]byte, 1000)
	}
	for range 5 {
		runtime.GC()
	}
	defer debug.SetGCPercent(debug.SetGCPercent(100000))
	var buf bytes.Buffer
	buf.Grow(1 << 10)

	mine, err := takeSample(s)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := theirSample(&buf, 0, 0); err != nil {
		t.Fatal(err)
	}
	runtime.KeepAlive(live)

	a, err := endpoint.Parse(appendDocument(nil, mine, totals{}))
	if err != nil {
		t.Fatal(err)
	}
	b, err := endpoint.Parse(buf.Bytes())
	if err != nil {
		t.Fatalf("the endpoint is stricter than heroku/x: %v", err)
	}
	t.Logf("ours   %s", a.Body)
	t.Logf("theirs %s", b.Body)
	for _, f := range []struct {
		name         string
		ours, theirs float64
		within       float64
	}{
		{"go.gc.collections", a.Collections, b.Collections, 0},
		{"go.gc.pause.ns", a.PauseNS, b.PauseNS, 0},
		{"go.memory.heap.bytes", a.HeapBytes, b.HeapBytes, 0.01},
		{"go.memory.stack.bytes", a.StackBytes, b.StackBytes, 0.01},
		{"go.memory.heap.objects", a.HeapObjects, b.HeapObjects, 0.01},
		{"go.gc.goal", a.GCGoal, b.GCGoal, 0.01},
		{"go.routines", a.Goroutines, b.Goroutines, 0},
	} {
		if f.theirs == 0 || math.Abs(f.ours-f.theirs) > f.within*f.theirs {
			t.Errorf("%s: %v, heroku/x %v", f.name, f.ours, f.theirs)
		}
	}
}

// What heroku/x sends is accepted by the endpoint, and an acknowledgement that
// the endpoint sends is one to heroku/x.
func TestTheEndpointTakesTheirReports(t *testing.T) {
	s, err := endpoint.Start(endpoint.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var buf bytes.Buffer
	if _, _, err := theirSample(&buf, 0, 0); err != nil {
		t.Fatal(err)
	}
	if err := theirPost(context.Background(), &http.Client{Timeout: 10 * time.Second}, &buf, s.URL("web.1")); err != nil {
		t.Error(err)
	}
	if len(s.Reports()) != 1 || len(s.Rejected()) != 0 {
		t.Errorf("accepted %v, rejected %v", s.Reports(), s.Rejected())
	}
}

// stops counts how often the world was stopped, for the collector or not.
func stops(t *testing.T) (n uint64) {
	read := []metrics.Sample{{Name: "/sched/pauses/total/other:seconds"}, {Name: "/sched/pauses/total/gc:seconds"}}
	metrics.Read(read)
	for _, s := range read {
		if s.Value.Kind() != metrics.KindFloat64Histogram {
			t.Fatalf("no %s", s.Name)
		}
		for _, c := range s.Value.Float64Histogram().Counts {
			n += c
		}
	}
	return n
}

// A thousand samples of the agent stop the world not once; a thousand of
// heroku/x stop it a thousand times, by the runtime's own count.
func TestStopTheWorld(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	const n = 1000
	s := new(sampler)

	before := stops(t)
	for range n {
		takeSample(s)
	}
	mine := stops(t) - before

	before = stops(t)
	for range n {
		theirSample(io.Discard, 0, 0)
	}
	theirs := stops(t) - before

	t.Logf("%d samples stopped the world %d times, those of heroku/x %d times", n, mine, theirs)
	if mine != 0 || theirs < n {
		t.Error("want none, and one for each of heroku/x")
	}
}

// A sample costs less than a fifth of heroku/x's, which is runtime.ReadMemStats, and does
// not allocate; a sample with its document costs less than a third.
func TestCost(t *testing.T) {
	for range 300 { // as many pauses as the runtime keeps, which are all read
		runtime.GC()
	}
	s := new(sampler)
	var m runtime.MemStats
	// A program at work, which is what it costs to stop.
	var done, turns atomic.Int64
	defer done.Store(1)
	for range runtime.GOMAXPROCS(0) - 1 {
		go func() {
			for done.Load() == 0 {
				turns.Add(1)
			}
		}()
	}
	contest := func(what string, factor time.Duration, ours, theirs func()) {
		const calls = 1000
		best := func(best *time.Duration, f func()) {
			start := time.Now()
			for range calls {
				f()
			}
			if took := time.Since(start) / calls; *best == 0 || took < *best {
				*best = took
			}
		}
		var a, b time.Duration
		for range 20 { // in turn, so that what else this machine does hits both
			best(&a, ours)
			best(&b, theirs)
		}
		t.Logf("%s: ours %v, theirs %v: %.0f times", what, a, b, float64(b)/float64(a))
		if a*factor > b {
			t.Errorf("%s: heroku/x is not %d times dearer", what, factor)
		}
	}
	contest("sample", 5, func() { takeSample(s) }, func() { runtime.ReadMemStats(&m) })
	contest("sample and encode", 3, func() {
		sample, _ := takeSample(s)
		appendDocument(make([]byte, 0, 320), sample, totals{})
	}, func() { theirSample(io.Discard, 0, 0) })
	if n := testing.AllocsPerRun(1000, func() { takeSample(s) }); n != 0 {
		t.Errorf("%v allocations a sample", n)
	}
}
