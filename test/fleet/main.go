// Command fleet tests what agent/README.md says of a fleet. See its -h.
package main

import (
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
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"

	"github.com/dsnet/try"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
	"github.com/prometheus/common/model"
)

const help = `Send a fleet's metrics through the OpenTelemetry Collector into Prometheus, and
compare what arrives with what the processes count themselves.

Usage, in test/fleet: GOWORK=off go run . [flags]

It builds the Collector and Prometheus from their modules, which takes minutes the
first time, and an app through this buildpack. It keeps them in
%s.
The Collector has the configuration from agent/README.md. Every second process sends
deltas, which another Collector adds up. The command kills, moves and throttles the
Collectors, kills some of the processes, and restarts all. Then it compares each counter,
and evaluates the PromQL of the dashboard.

With -dynos, it measures many agents in one process that export to one Collector, each
over a connection of its own.

Example:

	GOWORK=off go run . -dynos 10000

Exit status: 0 if everything is as expected, 1 if not.`

func main() {
	f := &fleet{processes: 50, interval: 10 * time.Second}
	fs := flag.NewFlagSet("fleet", flag.ContinueOnError)
	fs.DurationVar(&f.gone, "gone", 30*time.Second, "`time` without a Collector")
	fs.IntVar(&f.dynos, "dynos", 0, "simulate this `number` of dynos instead, which export every minute")
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := machine.ParseFlags(fs, os.Args[1:], os.Stdout, fmt.Sprintf(help, machine.CacheDir("fleet")))
	if f.dynos > 0 {
		f.interval = time.Minute
	}
	if err == nil {
		err = f.run(ctx)
	}
	cancel()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

// A fleet is the processes that report, and what lies between them and Prometheus.
type fleet struct {
	processes, dynos int
	interval         time.Duration // between the exports of a process
	gone             time.Duration // for which there is no Collector

	root, cache, tmp  string // the checkout, what is kept between runs, and what is not
	readme            string // the agent's
	url               string // of Prometheus
	prometheus        *process
	app               string          // its program
	cumulative, delta *balancer       // before the Collectors
	seen              map[string]bool // instances in Prometheus
}

func (f *fleet) run(ctx context.Context) (err error) {
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
	if f.dynos > 0 {
		f.simulate(ctx)
	} else {
		f.prove(ctx)
	}
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
