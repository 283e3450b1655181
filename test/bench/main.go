// Command bench measures what the buildpack costs, beside the alternatives. See its -h,
// and README.md for the readings that are kept here.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

const help = `Measure what the buildpack costs, beside a plain build and the alternatives: builds,
binaries, start-up, memory, CPU time.

Both sides of a row are measured one after the other, and so is whatever else runs on the
machine. The table has the medians of the pairs, and how far they spread. With -json each
reading is kept as soon as there is one; the table shows the last run of each row there.

Usage:

	go run ./test/bench [flags]

Examples:

	go run ./test/bench -list
	go run ./test/bench -run '^cold/web' -pairs 3 -json readings.jsonl
	go run ./test/bench -pairs 0 -json readings.jsonl

Exit status: 0 if every target is met, 1 if not or if a row could not be measured, 2
if the command line is wrong.`

func main() {
	o, err := parse(os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	met, err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	if err != nil || !met {
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	run         *regexp.Regexp
	pairs       int
	orchestrion bool
	list        bool
	json        string
	buildpack   string // empty: the checkout around the working directory
}

func parse(args []string, out io.Writer) (o options, err error) {
	pattern := ""
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.StringVar(&pattern, "run", "", "only the rows whose name this `regexp` matches")
	fs.IntVar(&o.pairs, "pairs", 5, "measure each row this many `times`; 0 shows what is in the file -json")
	fs.BoolVar(&o.orchestrion, "orchestrion", false, "measure Orchestrion too, as rows of the name NAME/orchestrion")
	fs.BoolVar(&o.list, "list", false, "list the rows and measure nothing")
	fs.StringVar(&o.json, "json", "", "add the readings to this `file`, a line of JSON each")
	fs.StringVar(&o.buildpack, "buildpack", "", "the buildpack's root `directory` (default the checkout around the working directory)")
	if err := machine.ParseFlags(fs, args, out, help); err != nil {
		return o, err
	}
	if o.run, err = regexp.Compile(pattern); err != nil {
		return o, fmt.Errorf("-run %s: %w", pattern, err)
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected %q: rows are chosen with -run", fs.Arg(0))
	case o.pairs < 0 || o.pairs == 0 && o.json == "":
		return o, fmt.Errorf("-pairs %d: nothing is measured, and no -json names a file to show", o.pairs)
	case len(o.chosen()) == 0:
		return o, fmt.Errorf("-run %s: no row has such a name: -list shows them", pattern)
	}
	return o, nil
}

// chosen returns the groups of which rows were asked for.
func (o options) chosen() (all []*pair) {
	for _, g := range groups {
		p := &pair{group: g}
		for _, r := range g.rows {
			if o.run.MatchString(r.name) {
				p.names = append(p.names, r.name)
			}
			if peer := r.orchestrion().name; o.orchestrion && r.canBeOrchestrion() && o.run.MatchString(peer) {
				p.names = append(p.names, peer)
			}
		}
		if len(p.names) > 0 {
			all = append(all, p)
		}
	}
	return all
}

// run measures and shows what was asked for. It reports whether no target is missed.
func run(ctx context.Context, o options) (met bool, err error) {
	if o.list {
		for _, p := range o.chosen() {
			for _, r := range p.wanted() {
				fmt.Printf("%-12s  %s, beside %s\n", r.name, r.what, r.against)
			}
		}
		return true, nil
	}
	j, err := openJournal(o.json)
	if err != nil {
		return false, err
	}
	defer j.file.Close()
	if o.pairs > 0 {
		err = measure(ctx, o, j)
	}
	table, met := j.table(rows(), true)
	tw := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprint(tw, strings.ReplaceAll(table, "|", "\t|"))
	tw.Flush()
	return met, err
}

// measure measures group after group. What fails in one does not cost the next.
func measure(ctx context.Context, o options, j *journal) (err error) {
	began := time.Now()
	say := func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%7s  %s\n", time.Since(began).Round(time.Second), fmt.Sprintf(format, args...))
	}
	defer catch(&err)
	w := openWorkspace(ctx, machine.CacheDir("bench"), o.buildpack, say)
	defer w.close()
	j.release = w.release
	all := o.chosen()
	for i, p := range all {
		n := o.pairs
		if p.once {
			n = 1
		}
		say("%s: %d pairs; %d groups of rows follow", strings.Join(p.names, " "), n, len(all)-1-i)
		p.journal, p.say = j, say
		if e := p.repeat(ctx, w, n); e != nil && ctx.Err() == nil {
			err = errors.Join(err, fmt.Errorf("pair %d of %s: %w", p.n, strings.Join(p.names, " "), e))
			say("%v", e)
		}
	}
	return errors.Join(err, ctx.Err())
}

// repeat measures n pairs.
func (p *pair) repeat(ctx context.Context, w *workspace, n int) (err error) {
	defer catch(&err)
	start := time.Now()
	for p.n = 1; p.n <= n; p.n++ {
		p.measure(ctx, w, p)
		took := time.Since(start)
		p.say("pair %d of %d; the rest take about %v", p.n, n, (took / time.Duration(p.n) * time.Duration(n-p.n)).Round(time.Second))
	}
	return nil
}

// A failure ends the pair that is being measured: it is passed on by panic.
type failure struct{ error }

func check(err error) {
	if err != nil {
		panic(failure{err})
	}
}

func must[T any](v T, err error) T {
	check(err)
	return v
}

// catch, deferred, makes an error of a failure.
func catch(err *error) {
	if p := recover(); p != nil {
		f, ok := p.(failure)
		if !ok {
			panic(p)
		}
		*err = errors.Join(*err, f.error)
	}
}
