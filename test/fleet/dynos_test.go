package fleet

import (
	"context"
	"fmt"
	"log"
	"math"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/dsnet/try"
	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/internal/reporter"
	"github.com/prometheus/procfs"
)

// A moment is what was seen in the 60th part of an interval: in the default one, a
// second.
type moment struct {
	reports               float64 // acknowledged, a second
	collector, prometheus use
}

// use is the CPU time of a process since its start, in seconds, and its memory.
type use struct{ cpu, megabytes float64 }

func (p *process) used() (u use) {
	for _, thread := range try.E1(procfs.AllThreads(p.Process.Pid)) {
		if s, err := thread.Schedstat(); err == nil { // a thread may end
			u.cpu += float64(s.RunningNanoseconds) / 1e9
		}
	}
	u.megabytes = float64(try.E1(try.E1(procfs.NewProc(p.Process.Pid)).Stat()).ResidentMemory()) / 1e6
	return u
}

// simulate runs many agents in this process. Unlike those in dynos, they share a runtime.
// All start at once, as after a deploy. In the first interval they send nothing, which
// gives the baseline. The last interval is the one that is measured.
func (f *fleet) simulate(ctx context.Context) {
	b := &balancer{} // without a server: the dynos reach the Collector themselves
	collector := f.collect(ctx, b)
	os.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+b.collector.Load().(string))
	os.Setenv("OTEL_SERVICE_NAME", "dynos")
	os.Setenv("OTEL_METRIC_EXPORT_INTERVAL", fmt.Sprint(f.interval.Milliseconds()))
	var reports, failures atomic.Int64
	log.Printf("starting %d dynos at once, which export every %v", f.count, f.interval)
	for range f.count {
		r, o := reporter.OTLP(reporter.FromEnvironment(), "")
		o.Delivered = func() { reports.Add(1) }
		o.Failed = func(err error) error {
			if ctx.Err() == nil && failures.Add(1) == 1 {
				log.Print(err)
			}
			return nil
		}
		go r.Run(ctx, o)
	}
	var moments []moment
	tick := time.NewTicker(f.interval / 60)
	defer tick.Stop()
	for before := time.Now(); len(moments) < 4*60; {
		select {
		case <-ctx.Done():
			try.E(ctx.Err())
		case <-tick.C:
		}
		now := time.Now()
		m := moment{float64(reports.Swap(0)) / now.Sub(before).Seconds(), collector.used(), f.prometheus.used()}
		before = now
		if moments = append(moments, m); len(moments)%20 == 0 {
			log.Printf("%.0f reports a second; the Collector has %.0f MB, Prometheus %.0f MB", m.reports, m.collector.megabytes, m.prometheus.megabytes)
		}
	}
	vector := f.ask(`count(go_goroutine_count{job="dynos"})`)
	if failures.Load() > 0 || len(vector) != 1 || int(vector[0].Value) != f.count {
		try.E(fmt.Errorf("%d exports failed, and Prometheus has of %d dynos %v", failures.Load(), f.count, vector))
	}
	fmt.Printf("\n%s\n", f.figures(moments))
}

// A Collector gets half of one processor. Up to this much memory, the limiter of the
// configuration in agent/README.md refuses nothing.
const cpus, megabytes = 0.5, 0.8 * 400 * (1 << 20) / 1e6

// figures returns what was measured, and what a million dynos need by that.
func (f *fleet) figures(moments []moment) string {
	n, second := float64(f.count)/1000, f.interval.Seconds()
	none, first, last := moments[59], moments[len(moments)-61], moments[len(moments)-1]
	var s strings.Builder
	fmt.Fprintf(&s, "| a report every %g s | %s dynos | each thousand | a million |\n|---|---|---|---|\n", second, number(1000*n))
	row := func(what string, all, without float64) float64 {
		each := (all - without) / n
		fmt.Fprintf(&s, "| %s | %.3g | %.3g | %s |\n", what, all, each, number(math.Round(without+1000*each)))
		return each
	}
	row("reports a second", 1000*n/second, 0)
	cpu := row("CPUs of Collectors", (last.collector.cpu-first.collector.cpu)/second, 0)
	memory := row("memory of Collectors, MB", last.collector.megabytes, none.collector.megabytes)
	row("CPUs of Prometheus", (last.prometheus.cpu-first.prometheus.cpu)/second, 0)
	row("memory of Prometheus, MB", last.prometheus.megabytes, none.prometheus.megabytes)

	var spread []float64
	for _, m := range moments[len(moments)-60:] {
		spread = append(spread, m.reports)
	}
	slices.Sort(spread)
	mean := 1000 * n / second
	random := 1.645 * math.Sqrt(mean*60/second) // 90 % of a normal distribution
	fmt.Fprintf(&s, `
All dynos started at once. In nine of ten seconds of the last interval, %.0f to %.0f reports arrived; random phases give %.0f to
%.0f. A million dynos need %.0f of these Collectors behind a TCP load balancer, each with 400 MiB and one CPU that it uses by half.
Any Collector takes the reports of any dyno.
`, spread[3], spread[56], mean-random, mean+random, math.Ceil(1000*max(cpu/cpus, memory/(megabytes-none.collector.megabytes))))
	return s.String()
}
