//go:build linux

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/page"
)

func TestTable(t *testing.T) {
	report := endpoint.Report{Process: "w", HeapBytes: 1258291, StackBytes: 425984, HeapObjects: 12345, GCGoal: 4 << 20, Collections: 3, PauseNS: 123456, Goroutines: 7}
	large := endpoint.Report{Process: "long-name", HeapBytes: 999 << 30, StackBytes: 425984, HeapObjects: 999999999, GCGoal: 4 << 20, Collections: 3, PauseNS: 999e9, Goroutines: 7}
	got := strings.Join([]string{tableHeader(9), tableReport("2.0s", 9, report), tableReport("3.0s", 9, large), tableLine("3.5s", "w", 9, "outage")}, "\n")
	if want := `    time  process          heap       stack      objects        goal     GCs     pause  goroutines
    2.0s  w             1.2 MiB   416.0 KiB       12,345     4.0 MiB       3     123µs           7
    3.0s  long-name   999.0 GiB   416.0 KiB  999,999,999     4.0 MiB       3    16m39s           7
    3.5s  w          outage`; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	out := &output{}
	r := &run{session: &session{stdout: out}, deliveries: map[string]*page.Delivery{"w": {}}}
	for range headerEvery + 1 {
		r.report(report)
	}
	if lines := strings.Split(out.String(), "\n"); len(lines) != headerEvery+4 || lines[0] != lines[headerEvery+1] {
		t.Errorf("the header is not there before the first and the %dth line:\n%s", headerEvery+1, out)
	}
	for d, want := range map[time.Duration]string{
		2040 * time.Millisecond: "2.0s", 59940 * time.Millisecond: "59.9s", 62 * time.Second: "1m02s", time.Hour + 125*time.Second: "1h02m",
	} {
		if got := elapsed(d); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestSummary(t *testing.T) {
	refused := []endpoint.Rejection{{Process: "web", Reason: "method GET, not POST"}}
	web, worker := process{name: "web", agent: true}, process{name: "worker", agent: true}
	other := process{name: "web", reporter: "x, every 20s"}
	for _, tt := range []struct {
		processes []process
		web       page.Delivery
		rejected  []endpoint.Rejection
		want      string
		ok        bool
	}{
		{[]process{web}, page.Delivery{Accepted: 1, Exports: 2}, nil, "1 report and 2 exports by OTLP in 30.0s from web, nothing is lost", true},
		{[]process{web}, page.Delivery{Accepted: 2, Counts: page.Counts{Lost: page.Counters{Collections: 3, PauseNS: 4e6}}}, nil, "2 reports and 0 exports by OTLP in 30.0s from web, 3 collections and 4ms are lost", true},
		{[]process{web, worker}, page.Delivery{Accepted: 14, Exports: 13}, nil, "14 reports and 13 exports by OTLP in 30.0s, nothing is lost: web 14 and 13, worker 0 and 0", true},
		{[]process{web, worker}, page.Delivery{}, nil, "no report arrived in 30.0s from web, worker", false},
		{[]process{other}, page.Delivery{}, nil, "no report arrived in 30.0s from web (reporting by itself with x, every 20s)", false},
		{[]process{web}, page.Delivery{Accepted: 2}, refused, "2 reports and 0 exports by OTLP in 30.0s from web, nothing is lost; 1 request refused, the last one of web: method GET, not POST", false},
	} {
		line, ok := summary(tt.processes, map[string]*page.Delivery{"web": &tt.web, "worker": {}}, tt.rejected, 30*time.Second)
		if line != tt.want || ok != tt.ok {
			t.Errorf("got %q, %t, want %q, %t", line, ok, tt.want, tt.ok)
		}
	}
}

// The log of a build has escape codes on a terminal only, where packages share a
// line, and colours only if they are wanted.
func TestBuildLog(t *testing.T) {
	long := "       example.com/" + strings.Repeat("long/", 20)
	log := "\x1b[1;33mCareful\x1b[0m\n       not/this\n-----> Running: go install -v x\n       net/http\n" + long + "\n       # x\n       y\n-----> Done\n       last/one\n"
	plain := colour.ReplaceAllString(log, "")
	const first, end = "       package 1: net/http", "       3 packages compiled in 0.0s\n-----> Done"
	short := strings.NewReplacer("       net/http\n", eraseLine+first, long+"\n", eraseLine+("       package 2: " + long[7:])[:78]+eraseLine,
		"       y\n", eraseLine+"       package 3: y"+eraseLine, "-----> Done", end).Replace(plain)
	for _, tt := range []struct {
		terminal      bool
		environ, want string
	}{{false, "NO_COLOR=", plain}, {true, "NO_COLOR=1", short}, {true, "NO_COLOR=", strings.Replace(short, "Careful", "\x1b[1;33mCareful\x1b[0m", 1)}} {
		out := &output{}
		lines := &lineWriter{each: (&session{stderr: out, terminal: tt.terminal, environ: []string{tt.environ}}).buildLog()}
		for i := range log {
			lines.Write([]byte{log[i]})
		}
		if out.String() != tt.want {
			t.Errorf("%t, %s: got\n%q\nwant\n%q", tt.terminal, tt.environ, out, tt.want)
		}
	}
}
