//go:build linux

// Command try builds a Go app through the buildpack in this checkout, as Heroku
// would, runs it as a dyno would, and shows each report of its runtime metrics: as
// a line, and in charts on a page whose address it prints. See its -h.
//
// The app is copied first: nothing in APP_DIR changes. The build has an environment
// like a build dyno's: of the user's own, only what says how to reach the network,
// such as GOPROXY and SSL_CERT_FILE. The app has the user's whole environment, like
// one that is started by hand; above it what APP_DIR/.env sets, as with heroku local;
// above that its config vars, and what the platform sets.
//
// The table of reports, outages, and the last line, which says what was seen, are
// on standard output; everything else, such as the log of the build and the output
// of the app, is on standard error. With -json standard output has a line of JSON
// for each event instead: see event.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

const help = `Build a Go app as Heroku would with this buildpack, run it, and show what it reports.

Usage:

	go run ./test/try [flags] [APP_DIR [-- arguments of the app]]

Without APP_DIR it is the app in test/apps/plain. In its arguments, '$PORT' is the
port that the process was given.

Examples:

	go run ./test/try -open ~/my/app
	go run ./test/try -for 30s -json ~/my/app -- -verbose

Exit status: 0 if reports arrived and nothing was refused, 1 if not, 2 if the command
line is wrong. go run makes 1 of every status but 0: for scripts, build it first with
go build -o try ./test/try.`

func main() {
	os.Exit(status(start(), os.Stderr))
}

func start() error {
	o, err := parse(os.Args[1:], os.Stdout)
	if err != nil {
		return err
	}
	ctx, hurry := interrupts()
	s := &session{options: o, environ: os.Environ(), stdout: os.Stdout, stderr: os.Stderr, hurry: hurry, bootTime: 10 * time.Second, grace: 5 * time.Second}
	kind, _ := herokugo.Getenv(s.environ, "TERM")
	s.terminal = kind != "" && kind != "dumb" && term.IsTerminal(int(os.Stderr.Fd()))
	if s.buildpack, err = machine.Checkout(""); err != nil {
		return err
	}
	return s.run(ctx)
}

// status prints an error and returns the exit status that stands for it.
func status(err error, stderr io.Writer) int {
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return 0
	}
	fmt.Fprintln(stderr, "try:", err)
	if errors.As(err, new(usageError)) {
		fmt.Fprintln(stderr, "try: for help, type: go run ./test/try -h")
		return 2
	}
	return 1
}

// A usageError says what is wrong with the command line.
type usageError struct{ error }

// interrupts returns a context that ends at the first signal to stop, and a channel
// that is closed at the second.
func interrupts() (context.Context, <-chan struct{}) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(context.Background())
	hurry := make(chan struct{})
	go func() {
		<-signals
		cancel()
		<-signals
		close(hurry)
	}()
	return ctx, hurry
}

// options are what the command line says.
type options struct {
	app      string // APP_DIR; empty: the app in test/apps/plain
	args     []string
	duration time.Duration // 0: no end
	interval time.Duration
	process  string // empty: all
	cache    string
	goroot   string // empty: the go command's
	config   []string
	page     net.Listener
	open     bool
	json     bool
}

func parse(args []string, out io.Writer) (o options, err error) {
	if i := slices.Index(args, "--"); i >= 0 {
		args, o.args = args[:i], args[i+1:]
	}
	fs := flag.NewFlagSet("try", flag.ContinueOnError)
	fs.DurationVar(&o.duration, "for", 0, "run the app for this `duration`, such as 30s, and then stop it\n(default until Ctrl-C or until the app exits)")
	fs.DurationVar(&o.interval, "interval", 2*time.Second, "the app's HMETRICS_INTERVAL, at least 1s, and OTEL_METRIC_EXPORT_INTERVAL")
	fs.StringVar(&o.process, "process", "", "run only this process type or binary `name` (default all)")
	fs.StringVar(&o.cache, "cache", machine.CacheDir("try"), "the CACHE_DIR, a `directory` that is kept between runs")
	fs.StringVar(&o.goroot, "goroot", "", "build with the Go in this `directory` (default that of the go command)")
	fs.Func("config", "a config var of the app, `NAME=VALUE`; may be repeated", func(s string) error {
		if name, _, ok := strings.Cut(s, "="); !ok || name == "" || strings.ContainsAny(name, "/.") {
			return errors.New("want NAME=VALUE")
		}
		o.config = append(o.config, s)
		return nil
	})
	page := fs.String("page", "127.0.0.1:0", "serve the page at this `address`, such as :8080")
	fs.BoolVar(&o.open, "open", false, "show the page in a browser")
	fs.BoolVar(&o.json, "json", false, "print a line of JSON for each report, export and event")
	err = machine.ParseFlags(fs, args, out, help)
	if errors.Is(err, flag.ErrHelp) {
		return o, err
	}
	o.app = fs.Arg(0)
	switch {
	case err != nil:
	case fs.NArg() > 1:
		err = fmt.Errorf("unexpected %q after APP_DIR: flags go before it, the app's own arguments after --", fs.Arg(1))
	case o.interval < time.Second:
		err = fmt.Errorf("-interval %v is too short: at least 1s", o.interval)
	case o.duration != 0 && o.duration <= 2*o.interval:
		err = fmt.Errorf("-for %v is too short: the first report may come up to %v after the start, twice -interval", o.duration, 2*o.interval)
	case o.cache == "":
		err = errors.New("-cache names no directory")
	default:
		// Now, since a build may take minutes.
		if o.page, err = net.Listen("tcp", *page); err != nil {
			err = fmt.Errorf("-page %s: %w", *page, err)
		}
	}
	if err != nil {
		return o, usageError{err}
	}
	return o, nil
}
