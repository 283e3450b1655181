// Package peer compares the agent with github.com/heroku/x/hmetrics: what they report,
// whether they stop the world, and how they are used. It is a module of its own to keep
// heroku/x out of the agent's.
package peer

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"time"
	_ "unsafe" // for linkname: what is compared is exported by neither side

	_ "github.com/heroku/x/hmetrics"
	_ "github.com/hmetrics/heroku-buildpack-go-metrics/agent"
	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
)

// herokuxSample takes a sample and writes its document to w.
//
//go:linkname herokuxSample github.com/heroku/x/hmetrics.gatherMetrics
func herokuxSample(w io.Writer, prevPauseTotalNS uint64, prevNumGC uint32) (uint64, uint32, error)

//go:linkname herokuxPost github.com/heroku/x/hmetrics.submitMetrics
func herokuxPost(ctx context.Context, client *http.Client, r io.Reader, endpoint string) error

// as the agent's types of the same names pass them.
//
//lint:file-ignore U1000 These fields are only there to be passed in registers
type (
	totals struct {
		collections uint32
		pauseNS     uint64
	}
	sample struct {
		totals
		gauges     [4]uint64
		goroutines uint64
	}
	sampler struct {
		read [4]metrics.Sample
		gc   debug.GCStats
	}
)

//go:linkname agentSample github.com/hmetrics/heroku-buildpack-go-metrics/agent/internal/reporter.(*sampler).sample
func agentSample(*sampler) (sample, error)

//go:linkname agentDocument github.com/hmetrics/heroku-buildpack-go-metrics/agent/internal/reporter.appendDocument
func agentDocument(buf []byte, s sample, acked totals) []byte

// In one process, with the collector quiesced, both report the same: counts and pause
// exactly, sizes within 1 %. The endpoint takes what heroku/x sends, and heroku/x the
// endpoint's answer.
func TestReportsAreTheSame(t *testing.T) {
	s, err := endpoint.Start(endpoint.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
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

	taken, err := agentSample(new(sampler))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := herokuxSample(&buf, 0, 0); err != nil {
		t.Fatal(err)
	}
	runtime.KeepAlive(live)

	if err := herokuxPost(context.Background(), &http.Client{Timeout: 10 * time.Second}, &buf, s.URL("web.1")); err != nil {
		t.Error(err)
	}
	if len(s.Reports()) != 1 {
		t.Fatalf("the endpoint rejected %v", s.Rejected())
	}
	herokux := s.Reports()[0]
	agent, err := endpoint.Parse(agentDocument(nil, taken, totals{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		name           string
		agent, herokux float64
		within         float64
	}{
		{"go.gc.collections", agent.Collections, herokux.Collections, 0},
		{"go.gc.pause.ns", agent.PauseNS, herokux.PauseNS, 0},
		{"go.memory.heap.bytes", agent.HeapBytes, herokux.HeapBytes, 0.01},
		{"go.memory.stack.bytes", agent.StackBytes, herokux.StackBytes, 0.01},
		{"go.memory.heap.objects", agent.HeapObjects, herokux.HeapObjects, 0.01},
		{"go.gc.goal", agent.GCGoal, herokux.GCGoal, 0.01},
		{"go.routines", agent.Goroutines, herokux.Goroutines, 0},
	} {
		t.Logf("%s: %v, heroku/x %v", f.name, f.agent, f.herokux)
		if f.herokux == 0 || math.Abs(f.agent-f.herokux) > f.within*f.herokux {
			t.Errorf("%s: not within %v", f.name, f.within)
		}
	}
}

// stops counts how often f, called a thousand times, stops the world, for the collector
// or not.
func stops(t *testing.T, f func()) (n uint64) {
	count := func() (n uint64) {
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
	before := count()
	for range 1000 {
		f()
	}
	return count() - before
}

// A thousand samples of the agent stop the world not once; a thousand of heroku/x stop it
// a thousand times, by the runtime's count.
func TestStopTheWorld(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	s := new(sampler)
	agent := stops(t, func() { agentSample(s) })
	herokux := stops(t, func() { herokuxSample(io.Discard, 0, 0) })
	if agent != 0 || herokux < 1000 {
		t.Errorf("the agent stopped the world %d times, heroku/x %d times", agent, herokux)
	}
}

// A program that uses heroku/x compiles against the agent with the import path changed
// and nothing else.
func TestOnlyTheImportPathChanges(t *testing.T) {
	name, err := filepath.Abs("usage/main.go")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	changed := strings.ReplaceAll(string(source), "\"github.com/heroku/x/hmetrics", "\"github.com/hmetrics/heroku-buildpack-go-metrics/agent")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {name: filepath.Join(dir, "main.go")}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"main.go": changed, "overlay.json": string(overlay)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, flags := range [][]string{nil, {"-overlay", filepath.Join(dir, "overlay.json")}} {
		cmd := exec.Command("go", append(append([]string{"build", "-o", os.DevNull}, flags...), "./usage")...)
		cmd.Env = append(os.Environ(), "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", cmd.Args, err, out)
		}
	}
}
