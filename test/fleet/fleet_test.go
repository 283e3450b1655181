// Package fleet tests what agent/README.md says of a fleet. It builds the Collector and Prometheus
// from their modules, which takes minutes the first time, and an app through this buildpack, and
// keeps them in the directory fleet of machine.CacheDir.
package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/dsnet/try"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
	"github.com/prometheus/common/model"
)

// The defaults are little of everything.
var (
	processes = flag.Int("processes", 12, "start this `number` of processes")
	outage    = flag.Duration("gone", 6*time.Second, "`time` without a Collector")
	simulated = flag.Int("dynos", 500, "simulate this `number` of dynos")
	picture   = flag.String("picture", "", "`file` for a PNG of what the dashboard shows")
	every     = flag.Duration("interval", 0, "`time` between exports (default 2s, of simulated dynos 5s)")
)

// TestProcesses sends the metrics of processes through the Collector, with the configuration from
// agent/README.md, into Prometheus. Every second process sends deltas, which another Collector
// adds up. It kills, moves and throttles the Collectors, kills some of the processes, and restarts
// all. Then it compares each counter with what the processes count themselves, and evaluates the
// PromQL of the dashboard.
func TestProcesses(t *testing.T) {
	f := &fleet{count: *processes, interval: cmp.Or(*every, 2*time.Second), gone: *outage, picture: cmp.Or(*picture, filepath.Join(t.TempDir(), "dashboard.png"))}
	if err := f.run(t.Context(), f.prove); err != nil {
		t.Error(err)
	}
}

// TestDynos measures many agents in this process that export to one Collector, each over a
// connection of its own.
func TestDynos(t *testing.T) {
	f := &fleet{count: *simulated, interval: cmp.Or(*every, 5*time.Second)}
	if err := f.run(t.Context(), f.simulate); err != nil {
		t.Error(err)
	}
}

// Each alert fires for what misbehaves, and none for what does not.
func TestRules(t *testing.T) {
	cmd := exec.Command("go", "run", "-tags=remove_all_sd", "github.com/prometheus/prometheus/cmd/promtool@v0.316.0", "test", "rules", "rules_test.yaml")
	cmd.Env = append(os.Environ(), "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// A fleet is the processes that report, and what lies between them and Prometheus.
type fleet struct {
	count    int           // of processes, or of simulated dynos
	interval time.Duration // between the exports of each
	gone     time.Duration // for which there is no Collector

	root, cache, tmp  string // the checkout, what is kept between runs, and what is not
	readme            string // the agent's
	url               string // of Prometheus
	prometheus        *process
	app               string          // its program
	cumulative, delta *balancer       // before the Collectors
	seen              map[string]bool // instances in Prometheus
	picture           string          // file for one of the dashboard
}

// run builds the Collector, starts Prometheus, and calls do.
func (f *fleet) run(ctx context.Context, do func(context.Context)) (err error) {
	defer try.Handle(&err)
	f.cache, f.root = machine.CacheDir("fleet"), try.E1(machine.Checkout())
	f.readme = string(try.E1(os.ReadFile(f.root + "/agent/README.md")))
	defer try.E1(machine.Lock(f.cache)).Close()
	f.tmp = try.E1(os.MkdirTemp("", "fleet"))
	defer os.RemoveAll(f.tmp)
	for _, args := range [][]string{
		{"run", "go.opentelemetry.io/collector/cmd/builder@v0.165.0", "--config=" + f.root + "/test/fleet/collector.yaml"},
		// The tag leaves out what finds services in clouds.
		{"install", "-tags=remove_all_sd", "github.com/prometheus/prometheus/cmd/prometheus@v0.316.0"},
	} {
		build := exec.CommandContext(ctx, "go", args...)
		log.Print(build)
		build.Dir, build.Env = f.cache, append(os.Environ(), "GOWORK=off", "GOFLAGS=", "GOBIN="+f.cache)
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", build, err, out)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends all processes
	config, address := filepath.Join(f.tmp, "prometheus.yml"), free()
	try.E(os.WriteFile(config, []byte("rule_files: ["+f.root+"/test/fleet/rules.yaml]\n"), 0o666))
	f.prometheus = start(ctx, "Server is ready to receive web requests.", nil, filepath.Join(f.cache, "prometheus"), "--web.enable-otlp-receiver",
		"--config.file="+config, "--storage.tsdb.path="+filepath.Join(f.tmp, "tsdb"), "--query.lookback-delta=1h", "--web.listen-address="+address)
	defer f.prometheus.end(syscall.SIGTERM)
	f.url, f.seen = "http://"+address, map[string]bool{}
	do(ctx)
	return nil
}

// collect starts a Collector behind a balancer, with the configuration from
// agent/README.md. It sets the addresses of the Collector and of Prometheus, and what else
// set names.
func (f *fleet) collect(ctx context.Context, b *balancer, set ...string) *process {
	file := filepath.Join(f.tmp, "collector.yaml")
	config := regexp.MustCompile("(?s)```yaml\n(receivers:.*?)```").FindStringSubmatch(f.readme)
	if config == nil {
		try.E(errors.New("agent/README.md shows no configuration of the Collector"))
	}
	try.E(os.WriteFile(file, []byte(config[1]), 0o666))
	argv := []string{filepath.Join(f.cache, "collector", "collector"), "--config=" + file}
	address := free()
	set = append(set, "receivers.otlp.protocols.http.endpoint="+address, "exporters.otlp_http.endpoint="+f.url+"/api/v1/otlp",
		"service.telemetry.metrics.level=none") // or it would listen at a port that may be in use
	for _, s := range set {
		argv = append(argv, "--set="+s)
	}
	b.collector.Store(address)
	return start(ctx, "Everything is ready.", nil, argv...)
}

// free returns an address that nobody listens on.
func free() string {
	l := try.E1(net.Listen("tcp", "127.0.0.1:0"))
	defer l.Close()
	return l.Addr().String()
}

// ask evaluates PromQL. It fails if Prometheus answers with a warning or a remark.
func (f *fleet) ask(promql string) model.Vector {
	var answer struct {
		Error           string
		Warnings, Infos []string
		Data            struct{ Result model.Vector }
	}
	try.E(json.Unmarshal(get(f.url+"/api/v1/query?query="+url.QueryEscape(promql)), &answer))
	if answer.Error != "" || len(answer.Warnings)+len(answer.Infos) > 0 {
		try.E(fmt.Errorf("%s: %+v", promql, answer))
	}
	return answer.Data.Result
}
