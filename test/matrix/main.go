// Command matrix builds apps of every shape in every ordinary way through the
// buildpack in this checkout, runs what was built, and shows for each way
// whether the agent reports, or is rightly not there. See its -h.
//
// A cell of the matrix is one build: see cells.go. The table and the line that
// counts its cells are on standard output, the logs of cells that failed (with
// -v: of all) on standard error.
//
// The builds share one build cache of their own, in the directory -cache, which
// is kept: a second run takes a fraction of the first one's time. Whatever
// changes in the buildpack makes it compile all again, and leaves what was there
// for the go command to trim: remove the directory when it has grown too big.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

const help = `Build apps in each of the many ways to build Go, and show where the agent reports.

Usage:

	go run ./test/matrix [flags]

Examples:

	go run ./test/matrix -list
	go run ./test/matrix -short -run trimpath -v

Exit status: 0 if all came out as they should, 1 if not, 2 if the command line is
wrong.`

func main() {
	o, err := parse(os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "matrix:", err)
		os.Exit(2)
	}
	chosen := choose(cells(), o.run, o.short)
	if o.list {
		for _, c := range chosen {
			fmt.Printf("%-32s  %s\n", c.name, c.expectation())
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok, err := run(ctx, o, chosen)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "matrix:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	run       *regexp.Regexp
	short     bool
	list      bool
	verbose   bool
	parallel  int
	cache     string
	buildpack string // empty: the checkout around the working directory
}

func parse(args []string, out io.Writer) (options, error) {
	var o options
	pattern := ""
	fs := flag.NewFlagSet("matrix", flag.ContinueOnError)
	fs.StringVar(&pattern, "run", "", "only the cells whose name this `regexp` matches")
	fs.BoolVar(&o.short, "short", false, "only the cells for each run of CI: newest and oldest Go, every flag on the newest")
	fs.BoolVar(&o.list, "list", false, "list the cells and build nothing")
	fs.BoolVar(&o.verbose, "v", false, "show the log of every cell")
	fs.IntVar(&o.parallel, "p", 2, "this many cells at a `time`")
	fs.StringVar(&o.cache, "cache", machine.CacheDir("matrix"), "a `directory` that is kept between runs")
	fs.StringVar(&o.buildpack, "buildpack", "", "the buildpack's root `directory` (default the checkout around the working directory)")
	if err := machine.ParseFlags(fs, args, out, help); err != nil {
		return options{}, err
	}
	if fs.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected %q: cells are chosen with -run", fs.Arg(0))
	}
	if o.parallel < 1 {
		return options{}, fmt.Errorf("-p %d is less than one cell at a time", o.parallel)
	}
	var err error
	if o.run, err = regexp.Compile(pattern); err != nil {
		return options{}, fmt.Errorf("-run %s: %w", pattern, err)
	}
	if o.cache, err = filepath.Abs(o.cache); err != nil {
		return options{}, err
	}
	return o, nil
}

// choose returns the cells that are asked for.
func choose(all []cell, name *regexp.Regexp, short bool) []cell {
	var chosen []cell
	for _, c := range all {
		if name.MatchString(c.name) && (c.short || !short) {
			chosen = append(chosen, c)
		}
	}
	return chosen
}

// run runs the cells and prints the table. It reports whether none failed.
func run(ctx context.Context, o options, chosen []cell) (bool, error) {
	if len(chosen) == 0 {
		return false, errors.New("no cell has such a name: -list shows them")
	}
	lab, err := openLab(ctx, o.cache, o.buildpack)
	if err != nil {
		return false, err
	}
	defer lab.close()

	start := time.Now()
	results := make([]chan result, len(chosen))
	for i := range results {
		results[i] = make(chan result, 1)
	}
	next := make(chan int)
	var workers sync.WaitGroup
	for i := 0; i < o.parallel; i++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := range next {
				results[i] <- lab.run(ctx, chosen[i])
			}
		}()
	}
	defer workers.Wait() // before the lab closes
	go func() {
		defer close(next)
		for i := range chosen {
			select {
			case next <- i:
			case <-ctx.Done():
				return
			}
		}
	}()

	t := newTable(os.Stdout, chosen)
	for _, ch := range results {
		var r result
		select {
		case r = <-ch:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break // what came of a cell that was interrupted says nothing
		}
		t.add(r)
		if o.verbose || r.failed() {
			fmt.Fprintf(os.Stderr, "--- %s\n%s\n", r.cell.name, r.log)
		}
	}
	t.end(time.Since(start))
	return t.failed == 0, ctx.Err()
}
