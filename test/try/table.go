//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
)

// A table shows reports as they arrive, a line for each.
type table struct {
	w       io.Writer // nil: nothing is shown
	start   time.Time
	process int // width of the column of process names; 0: none
	lines   int
}

// newTable returns a table whose times count from start. It has a column of
// process names if there are several.
func newTable(w io.Writer, start time.Time, processes []process) *table {
	t := &table{w: w, start: start}
	if len(processes) > 1 {
		t.process = len("process")
		for _, p := range processes {
			if len(p.name) > t.process {
				t.process = len(p.name)
			}
		}
	}
	return t
}

// headerEvery is after how many lines the header comes again.
const headerEvery = 20

func (t *table) add(r endpoint.Report) {
	if t.w == nil {
		return
	}
	if t.lines%headerEvery == 0 {
		t.line("time", "process", "heap", "stack", "objects", "goal", "GCs", "pause", "goroutines")
	}
	t.lines++
	t.line(
		elapsed(r.Received.Sub(t.start)),
		r.Process,
		endpoint.Bytes(r.HeapBytes),
		endpoint.Bytes(r.StackBytes),
		endpoint.Count(r.HeapObjects),
		endpoint.Bytes(r.GCGoal),
		endpoint.Count(r.Collections),
		endpoint.Duration(r.PauseNS),
		endpoint.Count(r.Goroutines),
	)
}

// beside returns a line of the table that has text in place of values.
func (t *table) beside(now time.Time, process, text string) string {
	return t.begin(elapsed(now.Sub(t.start)), process) + "  " + text
}

func (t *table) begin(time, process string) string {
	if t.process == 0 {
		return fmt.Sprintf("%8s", time)
	}
	return fmt.Sprintf("%8s  %-*s", time, t.process, process)
}

func (t *table) line(time, process string, rest ...string) {
	var b strings.Builder
	b.WriteString(t.begin(time, process))
	for i, cell := range rest {
		fmt.Fprintf(&b, "  %*s", [...]int{10, 10, 11, 10, 6, 8, 10}[i], cell)
	}
	fmt.Fprintln(t.w, b.String())
}

// elapsed renders a time since the start, such as 2.0s or 1m02s.
func elapsed(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	d = d.Round(time.Second)
	if d < time.Hour {
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%dh%02dm", d/time.Hour, d%time.Hour/time.Minute)
}
