//go:build linux

// Command run builds a Go app through the buildpack in this checkout, as Heroku does, runs
// it like a dyno, and shows each report of its runtime metrics: as a line, and in charts on
// a page whose address it prints. See its -h. Users start it with go run ./test/try.
//
// It builds a copy of the app, so nothing in APP_DIR changes. The build has an
// environment like a build dyno's. From the user's environment, it takes only what says
// how to reach the network, such as GOPROXY and SSL_CERT_FILE. The app has the user's
// whole environment, like an app started by hand. APP_DIR/.env overrides that, as with
// heroku local. The config vars, and what the platform sets, override both.
//
// Standard output has the table of reports, the outages, and a last line with the result.
// Standard error has everything else, such as the build log and the app's output. With
// -json, standard output has a line of JSON for each event instead: see event.
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
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

const help = `Build a Go app as Heroku does with this buildpack, run it, and show its reports.

Usage: go run ./test/try [flags] [APP_DIR [-- arguments of the app]]

APP_DIR defaults to test/apps/plain. In the arguments, '$PORT' is the process's port.

Examples:

	go run ./test/try -open ~/my/app
	go run ./test/try -for 30s -json ~/my/app -- -verbose

Exit status: 0 if reports arrived and none was refused, 1 if not, 2 if the command
line is wrong. go run turns 2 into 1; go build -o try ./test/try/run keeps it.`

// A session is one run of this command: the build of an app, and its processes.
type session struct {
	// From the command line.
	app      string // APP_DIR; empty: the app in test/apps/plain
	args     []string
	duration time.Duration // 0: no end
	interval time.Duration
	cache    string
	config   []string
	page     net.Listener
	open     bool
	json     bool

	buildpack      string    // the root of the buildpack's checkout
	environ        []string  // the user's environment
	stdout, stderr io.Writer // safe for concurrent use, as files are
	colors         bool      // whether stderr may have them

	// From the build.
	built     string   // the app's directory, a copy
	dotenv    []string // what the app's .env sets
	processes []*process

	server  *endpoint.Server
	faults  endpoint.Switch
	start   time.Time // of the processes
	width   int       // of the column of their names
	running sync.WaitGroup

	mu   sync.Mutex // also guards what is known of each process's reports
	rows int        // of the table
}

// A usageError says what is wrong with the command line.
type usageError struct{ error }

func main() {
	s := &session{environ: os.Environ(), stdout: os.Stdout, stderr: os.Stderr}
	kind := os.Getenv("TERM")
	s.colors = kind != "" && kind != "dumb" && os.Getenv("NO_COLOR") == "" && term.IsTerminal(int(os.Stderr.Fd()))
	err := s.parse(os.Args[1:])
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		defer stop()
		err = s.run(ctx)
	}
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return
	}
	fmt.Fprintln(os.Stderr, "try:", err)
	if _, ok := errors.AsType[usageError](err); ok {
		fmt.Fprintln(os.Stderr, "try: for help, type: go run ./test/try -h")
		os.Exit(2)
	}
	os.Exit(1)
}

func (s *session) parse(args []string) (err error) {
	if i := slices.Index(args, "--"); i >= 0 {
		args, s.args = args[:i], args[i+1:]
	}
	fs := flag.NewFlagSet("try", flag.ContinueOnError)
	fs.DurationVar(&s.duration, "for", 0, "stop the app after this `duration`, such as 30s")
	fs.DurationVar(&s.interval, "interval", 2*time.Second, "time between reports, and between exports, at least 1s")
	fs.StringVar(&s.cache, "cache", machine.CacheDir("try"), "keep build caches in this `directory`")
	fs.Func("config", "set a config var of the app, `NAME=VALUE`; may be repeated", func(v string) error {
		if name, _, ok := strings.Cut(v, "="); !ok || name == "" || strings.ContainsAny(name, "/.") {
			return errors.New("want NAME=VALUE")
		}
		s.config = append(s.config, v)
		return nil
	})
	page := fs.String("page", "127.0.0.1:0", "serve the page at this `address`, such as :8080")
	fs.BoolVar(&s.open, "open", false, "show the page in a browser")
	fs.BoolVar(&s.json, "json", false, "print a line of JSON for each report, export and event")
	err = machine.ParseFlags(fs, args, s.stdout, help)
	s.app = fs.Arg(0)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return err
	case err != nil:
	case fs.NArg() > 1:
		err = fmt.Errorf("unexpected %q after APP_DIR: flags go before it, the app's own arguments after --", fs.Arg(1))
	case s.interval < time.Second:
		err = fmt.Errorf("-interval %v is too short: at least 1s", s.interval)
	case s.duration != 0 && s.duration <= 2*s.interval:
		err = fmt.Errorf("-for %v is too short: the first report may come up to %v after the start, twice -interval", s.duration, 2*s.interval)
	case s.cache == "":
		err = errors.New("-cache names no directory")
	default:
		// Now, since a build may take minutes.
		if s.page, err = net.Listen("tcp", *page); err != nil {
			err = fmt.Errorf("-page %s: %w", *page, err)
		}
	}
	if err != nil {
		return usageError{err}
	}
	return nil
}

// run builds the app and runs it until ctx is done, the app exits or its time is over. Its
// error is the line that says why the run failed.
func (s *session) run(ctx context.Context) (err error) {
	defer s.page.Close()
	defer func() {
		if err != nil && s.json {
			s.print(event{Event: "result", Text: err.Error(), Reported: new(bool)})
		}
	}()
	if s.buildpack, err = machine.Checkout(); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "try_")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, herokugo.RemoveAll(tmp)) }()
	if err := s.build(ctx, tmp); err != nil {
		if ctx.Err() != nil {
			return errors.New("interrupted before the app was started")
		}
		return err
	}
	return s.watch(ctx)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
