// Command try builds a Go app through the buildpack in this checkout, as Heroku
// would, runs it as a dyno would, and shows each report of its runtime metrics: as
// a line, and in charts on a page whose address it prints.
//
//	go run ./test/try [flags] [APP_DIR [-- arguments of the app]]
//
// The app is copied aside first: nothing in APP_DIR changes. Without APP_DIR it
// is the one in test/apps/plain. In the app's arguments $PORT, kept from the
// shell by quotes, is the port that the process was given. The table of reports and
// the last line, which says what was seen, are on standard output; everything else,
// such as the log of the build and the output of the app, is on standard error. The
// exit status is 0 if reports arrived and none was refused, 2 if the command line is
// wrong, and otherwise 1.
//
// The build has an environment like a build dyno's: of the user's own, only what
// says how to reach the network, such as GOPROXY and SSL_CERT_FILE. The app has
// the user's whole environment, like one that is started by hand, and above it its
// config vars and what the platform sets.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

func main() {
	if runtime.GOOS != "linux" {
		fmt.Fprintln(os.Stderr, `try: the buildpack is for Linux, and so is this; with Docker:
     docker run --rm -it -v "$PWD":/src -w /src golang go run ./test/try`)
		os.Exit(1)
	}
	o, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		os.Exit(0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "try:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	t := &trial{options: o, environ: os.Environ(), stdout: os.Stdout, stderr: os.Stderr}
	t.terminal = isTerminal(os.Stderr, t.environ)
	if t.buildpack, err = machine.Checkout(""); err == nil {
		err = t.run(ctx)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stdout, "try:", err)
		os.Exit(1)
	}
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
	config   configVars
	page     string // address; empty: a free port of loopback
	open     bool
}

func parse(args []string, out io.Writer) (options, error) {
	var o options
	for i, arg := range args {
		if arg == "--" {
			args, o.args = args[:i], args[i+1:]
			break
		}
	}
	fs := flag.NewFlagSet("try", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.Usage = func() {
		fmt.Fprint(out, "usage: go run ./test/try [flags] [APP_DIR [-- arguments of the app]]\n\n")
		fs.PrintDefaults()
	}
	fs.DurationVar(&o.duration, "for", 0, "run the app for this `duration`, such as 30s, and then stop it\n(default until Ctrl-C or until the app exits)")
	fs.DurationVar(&o.interval, "interval", 2*time.Second, "the app's HMETRICS_INTERVAL, at least 1s")
	fs.StringVar(&o.process, "process", "", "run only this process type or binary `name` (default all)")
	fs.StringVar(&o.cache, "cache", machine.CacheDir("try"), "the CACHE_DIR, a `directory` that is kept between runs")
	fs.StringVar(&o.goroot, "goroot", "", "build with the Go in this `directory` (default that of the go command)")
	fs.Var(&o.config, "config", "a config var of the app, `NAME=VALUE`; may be repeated")
	fs.StringVar(&o.page, "page", "", "serve the page at this `address` (default a free port of 127.0.0.1)")
	fs.BoolVar(&o.open, "open", false, "show the page in a browser")
	if err := fs.Parse(args); err != nil {
		return options{}, err
	}
	if rest := fs.Args(); len(rest) > 1 {
		return options{}, fmt.Errorf("unexpected %q after APP_DIR: flags go before it, the app's own arguments after --", rest[1])
	}
	o.app = fs.Arg(0)
	if o.interval < time.Second {
		return options{}, fmt.Errorf("-interval %v is too short: at least 1s", o.interval)
	}
	if o.duration < 0 {
		return options{}, fmt.Errorf("-for %v is negative", o.duration)
	}
	if o.cache == "" {
		return options{}, errors.New("-cache names no directory")
	}
	return o, nil
}

// configVars is a flag of NAME=VALUE pairs.
type configVars []string

func (c *configVars) String() string { return strings.Join(*c, " ") }

func (c *configVars) Set(s string) error {
	name, _, ok := strings.Cut(s, "=")
	if !ok || name == "" || strings.ContainsAny(name, "/.") {
		return errors.New("want NAME=VALUE")
	}
	*c = append(*c, s)
	return nil
}
