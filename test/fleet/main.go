// Command fleet proves what the README says of a fleet. It builds an app through the
// buildpack, starts many processes of it that send to a real OpenTelemetry Collector
// and from there to a real Prometheus, makes things go wrong, and compares what
// Prometheus has then with what the processes have counted themselves. See its -h.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

const help = `Send the metrics of a fleet through the OpenTelemetry Collector into Prometheus, and
compare what arrived with what the processes have counted themselves.

Usage, in test/fleet:

	GOWORK=off go run . [flags]

It builds the Collector and Prometheus from their modules, which takes minutes the
first time, and an app through this buildpack. The Collector has the README's
configuration. It is killed, throttled and started at another address, and some of
the processes are killed. Then a table compares each counter, and the README's PromQL
is evaluated. What was built is kept in %s.

With -dynos it measures instead: so many agents in one process report to one
Collector, each over a connection of its own.

Exit status: 0 if all is as it must be, 1 if not.

Examples:

	GOWORK=off go run .
	GOWORK=off go run . -dynos 10000`

// prometheusModule is what Prometheus is built from.
const prometheusModule = "github.com/prometheus/prometheus/cmd/prometheus@v0.316.0"

func main() {
	var o options
	fs := flag.NewFlagSet("fleet", flag.ContinueOnError)
	fs.IntVar(&o.processes, "processes", 50, "start `so many` processes")
	fs.IntVar(&o.dynos, "dynos", 0, "simulate `so many` dynos instead")
	fs.DurationVar(&o.interval, "interval", 0, "`time` between the exports of a process (default 10s, with -dynos 1m)")
	fs.BoolVar(&o.write, "write", false, "put the figures and the plot of -dynos into the README")
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := machine.ParseFlags(fs, os.Args[1:], os.Stdout, fmt.Sprintf(help, machine.CacheDir("fleet")))
	if err == nil {
		err = run(ctx, o)
	}
	cancel()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "fleet:", err)
		os.Exit(1)
	}
}

type options struct {
	processes, dynos int
	interval         time.Duration
	write            bool
}

// A launcher has what both kinds of fleet need.
type launcher struct {
	options
	began      time.Time
	root       string // the checkout
	tmp        string
	cache      string // kept between runs
	readme     readme
	prometheus *prometheus
}

func (l *launcher) bin(name string) string { return filepath.Join(l.cache, "bin", name) }

func (l *launcher) say(format string, args ...any) {
	fmt.Printf("%4.0f s  %s\n", time.Since(l.began).Seconds(), fmt.Sprintf(format, args...))
}

func run(ctx context.Context, o options) (err error) {
	if o.interval == 0 && o.dynos > 0 {
		o.interval = time.Minute
	} else if o.interval == 0 {
		o.interval = 10 * time.Second
	}
	l := &launcher{options: o, began: time.Now(), cache: machine.CacheDir("fleet")}
	if l.root, err = machine.Checkout(""); err != nil {
		return err
	}
	if l.readme, err = readReadme(l.root); err != nil {
		return err
	}
	lock, err := machine.Lock(l.cache)
	if err != nil {
		return err
	}
	defer lock.Close()
	if l.tmp, err = os.MkdirTemp("", "fleet"); err != nil {
		return err
	}
	defer os.RemoveAll(l.tmp)
	for _, args := range [][]string{
		{"build", "-o", l.bin("collector"), "./collector"},
		// The tag leaves out what finds services in clouds.
		{"install", "-tags=remove_all_sd", prometheusModule},
	} {
		l.say("go %s", strings.Join(args, " "))
		build := exec.CommandContext(ctx, "go", args...)
		build.Dir, build.Env = filepath.Join(l.root, "test", "fleet"), append(os.Environ(), "GOWORK=off", "GOFLAGS=-buildvcs=false", "GOBIN="+l.bin(""))
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", build, err, out)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends all processes
	if l.prometheus, err = l.startPrometheus(ctx); err != nil {
		return err
	}
	defer l.prometheus.end(syscall.SIGTERM)
	if o.dynos > 0 {
		return l.simulate(ctx)
	}
	return l.prove(ctx)
}
