//go:build linux

package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/page"
)

func TestTable(t *testing.T) {
	start := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	report := endpoint.Report{
		Process:     "web",
		Received:    start.Add(2040 * time.Millisecond),
		HeapBytes:   1258291,
		StackBytes:  425984,
		HeapObjects: 12345,
		GCGoal:      4 << 20,
		Collections: 3,
		PauseNS:     123456,
		Goroutines:  7,
	}
	var b bytes.Buffer
	if got, want := newTable(&b, start, []process{{name: "web"}, {name: "w"}}).beside(start.Add(time.Second), "w", "outage"), "    1.0s  w        outage"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	want := `    time        heap       stack      objects        goal     GCs     pause  goroutines
    2.0s     1.2 MiB   416.0 KiB       12,345     4.0 MiB       3     123µs           7
`
	newTable(&b, start, []process{{name: "web"}}).add(report)
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}

	b.Reset()
	tab := newTable(&b, start, []process{{name: "web"}, {name: "long-name"}})
	report.Process, report.HeapBytes, report.PauseNS, report.HeapObjects = "long-name", 999<<30, 999e9, 999999999
	for i := 0; i < headerEvery+1; i++ {
		tab.add(report)
	}
	lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
	if len(lines) != headerEvery+3 || lines[0] != lines[headerEvery+1] {
		t.Errorf("the header is not there before the first and the %dth line:\n%s", headerEvery+1, b.String())
	}
	for _, line := range lines {
		if len([]rune(line)) != len(lines[0]) {
			t.Errorf("lines are not aligned:\n%s", b.String())
			break
		}
	}
}

func TestElapsed(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{elapsed(2040 * time.Millisecond), "2.0s"},
		{elapsed(59940 * time.Millisecond), "59.9s"},
		{elapsed(62 * time.Second), "1m02s"},
		{elapsed(time.Hour + 125*time.Second), "1h02m"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestSummary(t *testing.T) {
	refused := []endpoint.Rejection{{Process: "web", Reason: "method GET, not POST"}}
	web, worker := process{name: "web", agent: true}, process{name: "worker", agent: true}
	own := process{name: "web", own: "x, every 20s"}
	for _, tt := range []struct {
		processes []process
		accepted  map[string]int
		rejected  []endpoint.Rejection
		want      string
		ok        bool
	}{
		{[]process{web}, map[string]int{"web": 1}, nil, "1 report in 30.0s from web", true},
		{[]process{web, worker}, map[string]int{"web": 14}, nil, "14 reports in 30.0s: web 14, worker 0", true},
		{[]process{web, worker}, nil, nil, "no report arrived in 30.0s from web, worker", false},
		{[]process{own}, nil, nil, "no report arrived in 30.0s from web (reporting by itself with x, every 20s)", false},
		{[]process{web}, map[string]int{"web": 2}, refused, "2 reports in 30.0s from web; 1 request refused, the last one of web: method GET, not POST", false},
	} {
		deliveries := map[string]*page.Delivery{}
		for _, p := range tt.processes {
			deliveries[p.name] = &page.Delivery{Accepted: tt.accepted[p.name]}
		}
		line, ok := summary(tt.processes, deliveries, tt.rejected, 30*time.Second)
		if line != tt.want || ok != tt.ok {
			t.Errorf("summary(%v, %v) = %q, %t\nwant %q, %t", tt.processes, tt.accepted, line, ok, tt.want, tt.ok)
		}
	}
}
