package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/prometheus/common/model"
)

// counters are what is compared: a counter in Prometheus, with the metric of package
// runtime/metrics that the app reads of itself. Sums of histograms are estimates, and
// not compared.
var counters = []struct{ name, source string }{
	{"go_memory_gc_cycles_total", "/gc/cycles/total:gc-cycles"},
	{"go_memory_gc_pause_duration_seconds_count", "/sched/pauses/total/gc:seconds"},
	{"go_memory_allocated_bytes_total", "/gc/heap/allocs:bytes"},
	{"go_memory_allocations_total", "/gc/heap/allocs:objects"},
	{"go_schedule_duration_seconds_count", "/sched/latencies:seconds"},
	{"go_cpu_time_seconds_total{user}", "/cpu/classes/user:cpu-seconds"},
	{"go_cpu_time_seconds_total{gc}", "/cpu/classes/gc/total:cpu-seconds"},
	{"go_cpu_time_seconds_total{scavenge}", "/cpu/classes/scavenge/total:cpu-seconds"},
	{"go_cpu_time_seconds_total{idle}", "/cpu/classes/idle:cpu-seconds"},
}

// taken is the time at which what Prometheus has of a process was, in seconds.
const taken = "timestamp"

// underWay is how long a report may take on a busy machine: what is not sent when a
// process is killed never is.
const underWay = time.Second

// A fleet is the processes, and what is between them and Prometheus.
type fleet struct {
	*launcher
	balancer   balancer
	collectors []*program // the last one runs
	dead, live []*dyno    // those that are killed on the way, and the others
	stop       func() error
}

// prove has a fleet report while things go wrong, and compares.
func (l *launcher) prove(ctx context.Context) error {
	l.say("building the app through the buildpack")
	app, err := l.buildApp(ctx)
	if err != nil {
		return err
	}
	f := &fleet{launcher: l}
	if f.balancer.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return err
	}
	defer f.balancer.Close()
	go f.balancer.run()
	if err := f.collect(ctx, "127.0.0.1"); err != nil {
		return err
	}
	if err := f.launch(ctx, app); err != nil {
		return err
	}
	if err := f.trouble(ctx); err != nil {
		return err
	}
	had, err := f.rest(ctx)
	if err != nil {
		return err
	}
	return errors.Join(f.compare(had), f.conforms(ctx))
}

// collect starts a Collector at a host and a port that is free there.
func (f *fleet) collect(ctx context.Context, host string, set ...string) error {
	c, address, err := f.startCollector(ctx, host, set...)
	f.collectors = append(f.collectors, c)
	f.balancer.to.Store(address)
	return err
}

// launch starts the processes, each under another load, and waits for the first report
// of each. They work until f.stop is called. A tenth is to be killed, and the first
// of the others leaks goroutines.
func (f *fleet) launch(ctx context.Context, app string) error {
	f.say("starting %d processes, each under another load, which send every %v", f.processes, f.interval)
	working, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	failed := make(chan error, f.processes)
	f.stop = func() error {
		cancel()
		workers.Wait()
		close(failed)
		return <-failed
	}
	for n := range f.processes {
		d, err := f.startDyno(ctx, app, "http://"+f.balancer.Addr().String(), n+1)
		if err != nil {
			return err
		}
		dies := n%10 == 0
		if dies {
			f.dead = append(f.dead, d)
		} else {
			f.live = append(f.live, d)
		}
		workers.Go(func() {
			if err := d.work(working, n == 1); err != nil && !dies {
				failed <- err
			}
		})
	}
	return f.arrived(ctx, slices.Concat(f.dead, f.live))
}

// trouble has things go wrong one after the other, while the processes work.
func (f *fleet) trouble(ctx context.Context) error {
	f.say("killing the Collector, for three intervals")
	f.collectors[0].end(syscall.SIGKILL)
	if err := pause(ctx, 3*f.interval); err != nil {
		return err
	}
	f.say("starting it at another address, with so little memory that it refuses all, for two intervals")
	if err := f.collect(ctx, "127.0.0.2", "processors.memory_limiter.limit_mib=1"); err != nil {
		return err
	}
	if err := f.live[0].until(ctx, "the endpoint answered 503"); err != nil {
		return err
	}
	if err := pause(ctx, 2*f.interval); err != nil {
		return err
	}
	f.say("starting it as the README has it")
	f.collectors[1].end(syscall.SIGTERM)
	if err := f.collect(ctx, "127.0.0.2"); err != nil {
		return err
	}
	if err := f.arrived(ctx, slices.Concat(f.dead, f.live)); err != nil {
		return err
	}
	f.say("killing %d of the processes", len(f.dead))
	for _, d := range f.dead {
		if err := d.read(); err != nil {
			return err
		}
		d.killed = time.Now()
		d.end(syscall.SIGKILL)
	}
	if err := f.arrived(ctx, f.live); err != nil {
		return err
	}
	return f.stop()
}

// counts are what Prometheus has of the processes, by their names and the counters'.
type counts map[string]map[string]float64

func (f *fleet) counts(ctx context.Context) (counts, error) {
	all := counts{}
	for _, promql := range []string{"timestamp(go_memory_gc_cycles_total)", `{job="fleet",__name__=~".+_(total|count)"}`} {
		vector, err := f.prometheus.ask(ctx, promql)
		if err != nil {
			return nil, err
		}
		for _, s := range vector {
			dyno, name := dynoOf(s), string(s.Metric["__name__"])
			if state := s.Metric["go_cpu_state"]; state != "" {
				name += "{" + string(state) + "}"
			} else if name == "" {
				name = taken
			}
			if all[dyno] == nil {
				all[dyno] = map[string]float64{}
			}
			if _, twice := all[dyno][name]; twice {
				return nil, fmt.Errorf("%s has %s twice", dyno, name)
			}
			all[dyno][name] = float64(s.Value)
		}
	}
	return all, nil
}

// dynoOf returns the name of the process that a sample is of: the random part of the
// instance follows it.
func dynoOf(s *model.Sample) string {
	instance := string(s.Metric["instance"])
	return instance[:max(0, strings.LastIndex(instance, "."))]
}

// arrived waits until Prometheus has of each dyno what is later than now. The agent
// retries, so that three intervals are enough, and what a busy machine needs.
func (f *fleet) arrived(ctx context.Context, dynos []*dyno) error {
	now := time.Now()
	for {
		had, err := f.counts(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(dynos, func(d *dyno) bool { return had[d.name][taken] <= seconds(now) })
		if i < 0 {
			return nil
		}
		if time.Since(now) > 3*f.interval+30*time.Second {
			log, _ := dynos[i].printed()
			return fmt.Errorf("nothing has arrived of %s, which has printed\n%s", dynos[i].name, log)
		}
		if err := pause(ctx, f.interval/20); err != nil {
			return err
		}
	}
}

// rest returns what Prometheus has when the processes have no work any more. Even then
// the agent's own work and the runtime's can be counted between what a process reads
// of itself and what the agent reads within the tenth of a second after it, so that
// some of them need another report to be found equal. A count that was lost stays
// lost: no later report makes up for it.
func (f *fleet) rest(ctx context.Context) (counts, error) {
	had, pending := counts{}, f.live
	for round := 0; round < 15 && len(pending) > 0; round++ {
		f.say("comparing %d processes, without work", len(pending))
		if err := f.arrived(ctx, pending); err != nil {
			return nil, err
		}
		now, err := f.counts(ctx)
		if err != nil {
			return nil, err
		}
		for _, d := range f.dead {
			had[d.name] = now[d.name]
		}
		var unequal []*dyno
		for _, d := range pending {
			if err := d.read(); err != nil {
				return nil, err
			}
			if had[d.name] = now[d.name]; d.compare(now[d.name]) != nil {
				unequal = append(unequal, d)
			}
		}
		pending = unequal
	}
	return had, nil
}

// compare returns what is wrong with what Prometheus has of a process: it must be what
// that has read itself just before the time of the report, or, if it was killed at
// work, at least that, and at most what it read just after that.
func (d *dyno) compare(had map[string]float64) error {
	var wrong []error
	for _, c := range counters {
		low, high := d.totals.around(had[taken], c.source)
		if d.killed.IsZero() {
			high = low
		}
		if v := had[c.name]; !(low <= v && v <= high) {
			wrong = append(wrong, fmt.Errorf("%s: %s is %v in Prometheus, and from %v to %v in the process", d.name, c.name, v, low, high))
		}
	}
	return errors.Join(wrong...)
}

// compare prints a table of all counters, and fails if one is not as it must be.
func (f *fleet) compare(had counts) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\n\t%d that live: Prometheus\tthe processes\t%d killed: Prometheus\tthe processes\t\n", len(f.live), len(f.dead))
	for _, c := range counters {
		var sums [4]float64
		for _, d := range f.live {
			own, _ := d.totals.around(had[d.name][taken], c.source)
			sums[0], sums[1] = sums[0]+had[d.name][c.name], sums[1]+own
		}
		for _, d := range f.dead {
			own, _ := d.totals.around(seconds(d.killed), c.source)
			sums[2], sums[3] = sums[2]+had[d.name][c.name], sums[3]+own
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t\n", c.name, number(sums[0]), number(sums[1]), number(sums[2]), number(sums[3]))
	}
	w.Flush()
	var wrong []error
	behind := 0.0
	for _, d := range slices.Concat(f.live, f.dead) {
		wrong = append(wrong, d.compare(had[d.name]))
	}
	for _, d := range f.dead {
		behind = max(behind, seconds(d.killed)-had[d.name][taken])
	}
	fmt.Printf("\nWhat Prometheus has of a process that was killed is from at most %.1f s before that.\n\n", behind)
	if behind > (f.interval + underWay).Seconds() {
		wrong = append(wrong, fmt.Errorf("that is more than an interval, %v", f.interval))
	}
	return errors.Join(wrong...)
}

// seconds returns a time as Prometheus has it.
func seconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// number returns a number that is not negative with at most six decimals.
func number(n float64) string {
	whole, fraction, _ := strings.Cut(strconv.FormatFloat(math.Round(n*1e6)/1e6, 'f', -1, 64), ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return strings.TrimSuffix(whole+"."+fraction, ".")
}

// conforms fails if Prometheus lacks one of the README's metrics or has no answer to
// one of its questions, or if somebody has warned of something but where that was
// the purpose.
func (f *fleet) conforms(ctx context.Context) error {
	names := `count by (__name__) ({job="fleet"})`
	for _, promql := range append([]string{names}, f.readme.questions...) {
		vector, err := f.prometheus.ask(ctx, promql)
		if err != nil {
			return err
		}
		if len(vector) == 0 || slices.ContainsFunc(vector, func(s *model.Sample) bool { return math.IsNaN(float64(s.Value)) }) {
			return fmt.Errorf("%s answers %v", promql, vector)
		}
		if most := slices.MaxFunc(vector, func(a, b *model.Sample) int { return cmp.Compare(a.Value, b.Value) }); strings.Contains(promql, "goroutine") && dynoOf(most) != f.live[0].name {
			return fmt.Errorf("%s does not find %s, which leaks goroutines, but %v", promql, f.live[0].name, vector)
		}
		for _, metric := range f.readme.metrics {
			if promql == names && !strings.Contains(vector.String(), strings.ReplaceAll(metric, ".", "_")) {
				return fmt.Errorf("of the README's metrics Prometheus lacks %s: it has %v", metric, vector)
			}
		}
	}
	warnings := slices.Concat(f.prometheus.warnings(), f.collectors[0].warnings(), f.collectors[2].warnings())
	for _, d := range f.live {
		warnings = append(warnings, d.warnings()...)
	}
	if len(warnings) > 0 {
		return fmt.Errorf("not all was taken without a warning:\n%s", strings.Join(warnings, "\n"))
	}
	f.say("the Collector and Prometheus took %d metrics without a warning, and the README's %d questions have answers", len(f.readme.metrics), len(f.readme.questions))
	return nil
}
