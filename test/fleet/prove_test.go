package fleet

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/dsnet/try"
	"github.com/dustin/go-humanize"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
	"github.com/prometheus/common/model"
)

// counters are compared: a counter in Prometheus with the metric of package
// runtime/metrics that the app reads. Sums of histograms are estimates, so they are not
// compared.
var counters = []struct{ promql, source string }{
	{"go_memory_gc_cycles_total", "/gc/cycles/total:gc-cycles"},
	{"go_memory_gc_pause_duration_seconds_count", "/sched/pauses/total/gc:seconds"},
	{"go_memory_allocated_bytes_total", "/gc/heap/allocs:bytes"},
	{"go_memory_allocations_total", "/gc/heap/allocs:objects"},
	{"go_schedule_duration_seconds_count", "/sched/latencies:seconds"},
	{`go_cpu_time_seconds_total{go_cpu_state="user"}`, "/cpu/classes/user:cpu-seconds"},
	{`go_cpu_time_seconds_total{go_cpu_state="gc"}`, "/cpu/classes/gc/total:cpu-seconds"},
	{`go_cpu_time_seconds_total{go_cpu_state="scavenge"}`, "/cpu/classes/scavenge/total:cpu-seconds"},
	{`go_cpu_time_seconds_total{go_cpu_state="idle"}`, "/cpu/classes/idle:cpu-seconds"},
}

// taken asks for the time of the last export of each process, in seconds.
const taken = "timestamp(go_memory_gc_cycles_total)"

// A dyno is a process of the app.
type dyno struct {
	*process
	name, url string
	through   *balancer // of its exports
	instance  string    // of the process, in Prometheus; "" until it is there
	killed    time.Time // zero: it was not killed at work

	had    map[string]float64 // by Prometheus, by PromQL
	totals struct {           // what it has read of itself lately, by the names of package runtime/metrics
		Names    []string
		Readings []struct {
			Begin, End time.Time
			Totals     []float64
		}
	}
}

// prove starts processes that export, makes one thing after another fail, and compares the
// counts. Every second process sends deltas through a Collector that adds them up. A restart
// would lose its sums, so the balancer in front of it fails instead.
func (f *fleet) prove(ctx context.Context) {
	log.Printf("building the app through the buildpack")
	f.app = f.buildApp(ctx)
	f.cumulative, f.delta = newBalancer(), newBalancer()
	defer f.cumulative.Close()
	defer f.delta.Close()
	adding := f.collect(ctx, f.delta, "processors.delta_to_cumulative.max_stale=1h", "service.pipelines.metrics.processors=[memory_limiter, delta_to_cumulative, batch]")
	killed := f.collect(ctx, f.cumulative)
	tenth := (f.count + 9) / 10
	log.Printf("starting %d processes, each under another load, which send every %v", f.count, f.interval)
	began := time.Now()
	dynos, stop := f.start(ctx)
	dead, live := dynos[:tenth], dynos[tenth:]
	agent := f.startIdle(ctx)
	f.arrived(ctx, dynos)
	agent.spent("since its start")
	pause(ctx, 3*f.interval)
	agent.spent("with a Collector")

	log.Printf("killing the Collector, for %v", f.gone)
	before := memory(live)
	f.delta.fault.Store(gone)
	killed.end(syscall.SIGKILL)
	pause(ctx, f.gone/2)
	agent.spent("in the first half without one")
	pause(ctx, f.gone/2)
	agent.spent("in the second half")
	log.Printf("the processes have %v of memory, and had %v before", memory(live), before)
	log.Printf("starting it at another address, with so little memory that it refuses all, and throttling the other, for two intervals")
	starved := f.collect(ctx, f.cumulative, "processors.memory_limiter.limit_mib=1")
	f.delta.fault.Store(http.StatusTooManyRequests)
	statuses := map[*balancer]int{f.cumulative: http.StatusServiceUnavailable, f.delta: http.StatusTooManyRequests}
	for _, d := range live[:2] { // one of each
		d.until(ctx, fmt.Sprint("the endpoint answered ", statuses[d.through]))
	}
	pause(ctx, 2*f.interval)
	log.Printf("starting it with the documented configuration, and passing all on to the other")
	starved.end(syscall.SIGTERM)
	collector := f.collect(ctx, f.cumulative)
	f.delta.fault.Store(0)
	f.arrived(ctx, dynos)
	agent.spent("until it was back")

	log.Printf("killing %d processes", len(dead))
	for _, d := range dead {
		d.read()
		d.killed = time.Now()
		d.end(syscall.SIGKILL)
	}
	f.arrived(ctx, live)
	f.fetch(dead)
	stop()
	f.rest(ctx, live)

	log.Printf("restarting all processes")
	for _, d := range live {
		d.end(syscall.SIGTERM)
	}
	restart := time.Now()
	restarted, stop := f.start(ctx)
	log.Printf("it took %v", time.Since(restart).Round(time.Second))
	f.arrived(ctx, restarted)
	stop()
	f.rest(ctx, restarted)
	agent.spent("with one again")
	f.compare(append(dynos, restarted...))
	f.draw(f.picture, began)
	f.conforms(restarted, f.prometheus, adding, killed, collector)
}

// start starts the processes and gives them work until stop is called.
func (f *fleet) start(ctx context.Context) (dynos []*dyno, stop func()) {
	working, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	for n := range f.count {
		d := f.startDyno(ctx, n, "READ=1")
		dynos = append(dynos, d)
		workers.Go(func() { d.work(working, f.interval/20, 700+100*(n%10), n == f.count-1) })
	}
	return dynos, func() {
		cancel()
		workers.Wait()
	}
}

// memory returns the memory that the processes have, together.
func memory(dynos []*dyno) string {
	sum := 0.0
	for _, d := range dynos {
		sum += d.used().megabytes
	}
	return fmt.Sprintf("%.0f MB", sum)
}

// An idle pair is two processes that do nothing: one exports, and the other's agent is off.
// What the first uses more is the agent's.
type idlePair struct {
	exports, off *process
	interval     time.Duration // of the exports
	since        time.Time     // of the last call of spent
	cpu          float64       // what the agent had used then, in seconds
}

func (f *fleet) startIdle(ctx context.Context) *idlePair {
	off := start(ctx, "totals listens on", []string{"PORT=0"}, f.app)
	return &idlePair{exports: f.startDyno(ctx, f.count).process, off: off, interval: f.interval, since: time.Now()}
}

// spent logs what the agent has spent since the last call.
func (p *idlePair) spent(when string) {
	exports, off := p.exports.used(), p.off.used()
	cpu := exports.cpu - off.cpu
	intervals := time.Since(p.since).Seconds() / p.interval.Seconds()
	log.Printf("%s, the agent of an idle process takes %.2f ms of CPU an interval, and %.1f MB", when, 1000*(cpu-p.cpu)/intervals, exports.megabytes-off.megabytes)
	p.since, p.cpu = time.Now(), cpu
}

// buildApp builds test/apps/totals as Heroku does, and returns its program.
func (f *fleet) buildApp(ctx context.Context) string {
	environ, values := try.E2(machine.Environ(ctx))
	buildpack := filepath.Join(f.tmp, "buildpack")
	try.E(machine.CopyBuildpack(buildpack, f.root))
	var printed bytes.Buffer
	b := &herokugo.Build{
		App: filepath.Join(f.tmp, "app"), Cache: filepath.Join(f.cache, "app"), Env: filepath.Join(f.tmp, "env"),
		Environ: append(environ, "HOME="+f.tmp, "TMPDIR="+f.tmp, "STACK=heroku-24"), Stdout: &printed, Stderr: &printed,
	}
	try.E(errors.Join(os.CopyFS(b.App, os.DirFS(f.root+"/test/apps/totals")), os.MkdirAll(b.Env, 0o777), b.InstallGo(values[0])))
	if err := b.Run(ctx, buildpack, f.root+"/test/herokugo/buildpack"); err != nil {
		try.E(fmt.Errorf("%w\n%s", err, &printed))
	}
	return filepath.Join(b.App, "bin", "totals")
}

func (f *fleet) startDyno(ctx context.Context, n int, env ...string) *dyno {
	d := &dyno{name: fmt.Sprintf("web.%d", n+1), through: f.cumulative}
	env = append(env,
		"PORT=0", "DYNO="+d.name, "GOMEMLIMIT=400MiB", "HMETRICS_VERBOSE=1", "OTEL_SERVICE_NAME=fleet",
		fmt.Sprintf("OTEL_METRIC_EXPORT_INTERVAL=%d", f.interval.Milliseconds()),
	)
	if n%2 == 1 {
		d.through = f.delta
		env = append(env, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=delta")
	}
	d.process = start(ctx, "totals listens on", append(env, "OTEL_EXPORTER_OTLP_ENDPOINT="+d.through.URL), f.app)
	d.url = "http://" + regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(d.log)
	return d
}

// read asks the process for its totals.
func (d *dyno) read() {
	d.totals.Readings = nil
	try.E(json.Unmarshal(get(d.url+"/totals"), &d.totals))
}

// work gives the process work until ctx ends, or the process: requests with a pause
// between them, each for a page of so many items.
func (d *dyno) work(ctx context.Context, between time.Duration, items int, leaks bool) {
	var ended error
	defer try.Handle(&ended)
	for i := 1; ctx.Err() == nil; i++ {
		get(fmt.Sprintf("%s/?n=%d", d.url, items))
		if leaks && i%10 == 0 {
			get(d.url + "/leak")
		}
		time.Sleep(between)
	}
}

// fetch has Prometheus tell what it has of dynos.
func (f *fleet) fetch(dynos []*dyno) {
	for _, d := range dynos {
		d.had = map[string]float64{}
	}
	ask := func(promql string) {
		for _, s := range f.ask(promql) {
			if i := slices.IndexFunc(dynos, func(d *dyno) bool { return f.isOf(d, string(s.Metric["instance"])) }); i >= 0 {
				if _, twice := dynos[i].had[promql]; twice {
					try.E(fmt.Errorf("%s has %s twice", dynos[i].name, promql))
				}
				dynos[i].had[promql] = float64(s.Value)
			}
		}
	}
	ask(taken)
	for _, c := range counters {
		ask(c.promql)
	}
}

// isOf reports whether an instance is the process of a dyno. One that was restarted is
// another.
func (f *fleet) isOf(d *dyno, instance string) bool {
	if d.instance == "" && !f.seen[instance] && dynoOf(instance) == d.name {
		d.instance, f.seen[instance] = instance, true
	}
	return d.instance == instance
}

// dynoOf returns the name of the dyno of an instance: a random part follows it.
func dynoOf(instance string) string {
	return instance[:max(0, strings.LastIndex(instance, "."))]
}

// arrived waits until Prometheus has a later export than now from each dyno. The agent
// retries, so three intervals are enough, plus a margin for a busy machine.
func (f *fleet) arrived(ctx context.Context, dynos []*dyno) {
	for now := time.Now(); ; pause(ctx, f.interval/20) {
		f.fetch(dynos)
		i := slices.IndexFunc(dynos, func(d *dyno) bool { return d.had[taken] <= seconds(now) })
		if i < 0 {
			return
		}
		if time.Since(now) > 3*f.interval+30*time.Second {
			try.E(fmt.Errorf("nothing arrived from %s, which printed\n%s", dynos[i].name, dynos[i].end(syscall.SIGKILL)))
		}
	}
}

// rest fetches what Prometheus has once the processes are idle. Even then, the agent and
// the runtime do some work in the tenth of a second between a reading of the process and
// the agent's reading, so some processes need another report before they are equal. A
// lost count stays lost: no later report makes up for it.
func (f *fleet) rest(ctx context.Context, pending []*dyno) {
	for round := 0; round < 15 && len(pending) > 0; round++ {
		log.Printf("comparing %d processes, without work", len(pending))
		f.arrived(ctx, pending)
		pending = slices.DeleteFunc(slices.Clone(pending), func(d *dyno) bool {
			d.read()
			return d.wrong() == nil
		})
	}
}

// around returns the process's own readings just before and just after a time, in
// seconds: NaN if there is none before, and infinity if there is none after.
func (d *dyno) around(at float64, source string) (before, after float64) {
	before, after = math.NaN(), math.Inf(1)
	for _, r := range d.totals.Readings {
		v := r.Totals[slices.Index(d.totals.Names, source)]
		if seconds(r.End) <= at {
			if !(v < before) {
				before = v
			}
		} else if seconds(r.Begin) > at+0.001 { // Prometheus has milliseconds
			after = min(after, v)
		}
	}
	return before, after
}

// wrong returns what is wrong with the counters of a process in Prometheus. They must equal
// the process's own reading just before the export. For a process that was killed at work,
// they must lie between its readings just before and just after the export.
func (d *dyno) wrong() error {
	var wrong []error
	for _, c := range counters {
		low, high := d.around(d.had[taken], c.source)
		if d.killed.IsZero() {
			high = low
		}
		const rounded = 1e-9 // by adding up deltas
		if v := d.had[c.promql]; !(low-rounded <= v && v <= high+rounded) {
			wrong = append(wrong, fmt.Errorf("%s: %s is %v in Prometheus, and from %v to %v in the process", d.name, c.promql, v, low, high))
		}
	}
	return errors.Join(wrong...)
}

// compare fails if a counter of any process is wrong, and logs their sums.
func (f *fleet) compare(dynos []*dyno) {
	var wrong []error
	behind, sums := 0.0, map[string]float64{}
	for _, d := range dynos {
		wrong = append(wrong, d.wrong())
		for promql, v := range d.had {
			sums[promql] += v
		}
		if !d.killed.IsZero() {
			behind = max(behind, seconds(d.killed)-d.had[taken])
		}
	}
	for _, c := range counters {
		log.Printf("%s: %s in all processes", c.promql, number(sums[c.promql]))
	}
	log.Printf("the last export of each killed process was at most %.1f s old", behind)
	const underWay = time.Second // a report on a busy machine: what is not sent when a process is killed never is
	if behind > (f.interval + underWay).Seconds() {
		wrong = append(wrong, fmt.Errorf("the last export of a killed process was %.1f s old: the interval is %v", behind, f.interval))
	}
	try.E(errors.Join(wrong...))
}

// seconds returns a time as Prometheus has it.
func seconds(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// number returns a number with at most six decimals.
func number(n float64) string { return humanize.Commaf(math.Round(n*1e6) / 1e6) }

// conforms fails if Prometheus lacks one of the documented metrics or has no answer to
// one of the dashboard's queries, or if a process has warned of something that is not
// meant to go wrong. The last one that lives leaks goroutines.
func (f *fleet) conforms(live []*dyno, quiet ...*process) {
	has := fmt.Sprint(f.ask(`{job="fleet"}`))
	rows := strings.Join(regexp.MustCompile(`(?m)^\| .go\..*\| 1\.\d+ \|$`).FindAllString(f.readme, -1), "")
	metrics := regexp.MustCompile("`(go\\.[a-z.]+)`").FindAllStringSubmatch(rows, -1)
	for _, m := range metrics {
		if name := m[1]; !strings.Contains(has, strings.ReplaceAll(name, ".", "_")) {
			try.E(fmt.Errorf("of agent/README.md, Prometheus lacks %s: it has %s", name, has))
		}
	}
	queries := f.queries()
	if len(metrics) == 0 || len(queries) == 0 {
		try.E(errors.New("agent/README.md has lost its metrics, or the dashboard its panels"))
	}
	for _, row := range regexp.MustCompile("(?m)^\\| [^`|]+ \\| `(.+)` \\|$").FindAllStringSubmatch(f.readme, -1) {
		if !slices.Contains(queries, row[1]) {
			try.E(fmt.Errorf("%s in agent/README.md is no query of the dashboard", row[1]))
		}
	}
	for _, promql := range queries {
		answer := f.ask(promql)
		if len(answer) == 0 || slices.ContainsFunc(answer, func(s *model.Sample) bool { return math.IsNaN(float64(s.Value)) }) {
			try.E(fmt.Errorf("%s answers %v", promql, answer))
		}
		most := slices.MaxFunc(answer, func(a, b *model.Sample) int { return cmp.Compare(a.Value, b.Value) })
		if leaks := live[len(live)-1]; strings.HasPrefix(promql, "deriv") && dynoOf(string(most.Metric["instance"])) != leaks.name {
			try.E(fmt.Errorf("%s does not find %s, which leaks goroutines, but %v", promql, leaks.name, answer))
		}
	}
	f.series()
	for _, d := range live {
		quiet = append(quiet, d.process)
	}
	warning := regexp.MustCompile("(?m)^.*(level=(WARN|ERROR)|\t(warn|error)\t|rejected).*$") // by any of them, if something was not taken
	for _, p := range quiet {
		if w := warning.FindAllString(p.end(syscall.SIGKILL), -1); w != nil {
			try.E(fmt.Errorf("unexpected warnings:\n%s", strings.Join(w, "\n")))
		}
	}
	log.Printf("nothing was taken with a warning, agent/README.md's %d metrics and attributes are there, and the dashboard's %d queries have answers", len(metrics), len(queries))
}

// queries returns the PromQL of the dashboard's panels.
func (f *fleet) queries() (all []string) {
	for _, p := range f.panels() {
		for _, t := range p.Targets {
			all = append(all, t.Expr)
		}
	}
	return all
}

// series fails if a process has another number of series than test/fleet/README.md says.
func (f *fleet) series() {
	row := regexp.MustCompile(`\b(\d+) series\b`).FindSubmatch(try.E1(os.ReadFile(f.root + "/test/fleet/README.md")))
	for _, s := range f.ask(`count by (instance) ({job="fleet"})`) {
		if len(row) == 0 || s.Value.String() != string(row[1]) {
			try.E(fmt.Errorf("%s has %v series, and test/fleet/README.md says %s", s.Metric["instance"], s.Value, row))
		}
	}
}
