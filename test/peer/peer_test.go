// Package peer compares the agent with github.com/heroku/x/hmetrics: what they report, whether
// they stop the world, and how they are used. It is a module of its own to keep heroku/x out of
// the agent's module.
package peer

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"

	herokux "github.com/heroku/x/hmetrics"

	"github.com/dsnet/try"
	agent "github.com/hmetrics/heroku-buildpack-go-metrics/agent"
	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
)

// stops returns how often the world was stopped, except by the collector.
func stops() (n uint64) {
	read := []metrics.Sample{{Name: "/sched/pauses/total/other:seconds"}}
	metrics.Read(read)
	for _, c := range read[0].Value.Float64Histogram().Counts {
		n += c
	}
	return n
}

// In one process, while the collector is idle, both report the same: counts and pauses exactly,
// sizes within 1 %. The agent reports every second and never stops the world; heroku/x does at
// its first report, after 20 seconds. The endpoint accepts the reports of heroku/x, and heroku/x
// accepts the endpoint's answers.
func TestReportsAreTheSame(t *testing.T) {
	t.Setenv("HMETRICS_INTERVAL", "1s")
	s := try.E1(endpoint.Start(endpoint.Options{}))
	defer s.Close()
	live := make([][]byte, 100000)
	for i := range live {
		live[i] = make([]byte, 1000)
	}
	for range 5 {
		runtime.GC()
	}
	defer debug.SetGCPercent(debug.SetGCPercent(100000))

	type moment struct {
		endpoint.Report
		stops uint64
	}
	reports := make(chan moment, 100)
	s.OnReport(func(r endpoint.Report) { reports <- moment{r, stops()} })
	go agent.Report(t.Context(), s.URL("agent"), nil)
	go herokux.Report(t.Context(), s.URL("herokux"), nil)
	first, counts, n := <-reports, endpoint.Report{}, 0
	last, next := first, first
	for ; next.Process == "agent"; n++ {
		last = next
		counts.Collections += last.Collections
		counts.PauseNS += last.PauseNS
		next = <-reports
	}
	runtime.KeepAlive(live)
	if rejected := s.Rejected(); len(rejected) > 0 {
		t.Errorf("the endpoint refused %v", rejected)
	}
	if n < 10 || last.stops != first.stops || next.stops == last.stops {
		t.Errorf("the agent's %d reports stopped the world %d times, heroku/x %d times", n, last.stops-first.stops, next.stops-last.stops)
	}
	for _, f := range []struct {
		name           string
		agent, herokux float64
		within         float64
	}{
		{"go.gc.collections", counts.Collections, next.Collections, 0},
		{"go.gc.pause.ns", counts.PauseNS, next.PauseNS, 0},
		{"go.memory.heap.bytes", last.HeapBytes, next.HeapBytes, 0.01},
		{"go.memory.stack.bytes", last.StackBytes, next.StackBytes, 0.2}, // each connection has some
		{"go.memory.heap.objects", last.HeapObjects, next.HeapObjects, 0.05},
		{"go.gc.goal", last.GCGoal, next.GCGoal, 0.01},
		{"go.routines", last.Goroutines, next.Goroutines, 0.5},
	} {
		t.Logf("%s: %v, heroku/x %v", f.name, f.agent, f.herokux)
		if f.herokux == 0 || math.Abs(f.agent-f.herokux) > f.within*f.herokux {
			t.Errorf("%s: %v, heroku/x %v, not within %v", f.name, f.agent, f.herokux, f.within)
		}
	}
}

// A program that uses heroku/x compiles with the agent after a change of only the import path.
func TestOnlyTheImportPathChanges(t *testing.T) {
	name := try.E1(filepath.Abs("usage/main.go"))
	source := try.E1(os.ReadFile(name))
	dir := t.TempDir()
	files := map[string]string{
		"main.go":      strings.ReplaceAll(string(source), "github.com/heroku/x/hmetrics", "github.com/hmetrics/heroku-buildpack-go-metrics/agent"),
		"overlay.json": fmt.Sprintf(`{"Replace": {%q: %q}}`, name, filepath.Join(dir, "main.go")),
	}
	for file, content := range files {
		try.E(os.WriteFile(filepath.Join(dir, file), []byte(content), 0o666))
	}
	for _, overlay := range []string{"", filepath.Join(dir, "overlay.json")} {
		cmd := exec.Command("go", "build", "-o", os.DevNull, "-overlay="+overlay, "./usage")
		cmd.Env = append(os.Environ(), "GOFLAGS=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", cmd.Args, err, out)
		}
	}
}
