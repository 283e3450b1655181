// Command bench measures what the buildpack costs, beside the alternatives:
// builds, binaries, start-up, memory, CPU time, latency. See its -h.
//
// A row of the table is one figure beside another, see row.go. Both sides of a
// pair are measured one after the other in one run, the order alternating from
// pair to pair; what is compared is the sides of a pair, and shown is the median
// of the pairs and how far they spread. The column CPU is the ratio of the CPU
// time of the builds, which suffers less from what else the machine does.
//
// The table is on standard output, progress on standard error. With -json every
// reading is kept as soon as there is one. A later run adds to the same file, so
// that the table can be measured in parts: it shows the last run of each row.
//
// Whatever else runs on the machine is measured too: leave it alone meanwhile.
//
// readings.jsonl is such a file, and what the README shows is made of it. To
// measure anew, remove it and
//
//	go run ./test/bench -orchestrion -json test/bench/readings.jsonl
//	go test ./test/bench -run TestReadme -update
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
	"strings"
	"syscall"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

const help = `Measure what the buildpack costs, beside a plain build and the alternatives.

Usage:

	go run ./test/bench [flags]

Examples:

	go run ./test/bench -list
	go run ./test/bench -run '^cold/web' -pairs 3 -json readings.jsonl
	go run ./test/bench -show -json readings.jsonl -svg cost.svg

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
	if o.list {
		for _, r := range rows {
			if o.chosen(r) {
				fmt.Printf("%-26s  %s, against %s\n", r.name, r.what, r.against)
			}
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ok, err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// options are what the command line says.
type options struct {
	run         *regexp.Regexp
	pairs       int
	orchestrion bool
	list, show  bool
	work        bool
	json        string
	benchstat   string
	svg         string
	cache       string
	buildpack   string // empty: the checkout around the working directory
}

func parse(args []string, out io.Writer) (options, error) {
	var o options
	pattern := ""
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.StringVar(&pattern, "run", "", "only the rows whose name this `regexp` matches")
	fs.IntVar(&o.pairs, "pairs", 5, "measure each row this many `times`")
	fs.BoolVar(&o.orchestrion, "orchestrion", false, "measure the build rows with Orchestrion, too")
	fs.BoolVar(&o.list, "list", false, "list the rows and measure nothing")
	fs.BoolVar(&o.show, "show", false, "show what is in the file -json and measure nothing")
	fs.BoolVar(&o.work, "work", false, "print the name of the directory of the generated apps and their binaries, and leave it")
	fs.StringVar(&o.json, "json", "", "add the readings to this `file`, a line of JSON each")
	fs.StringVar(&o.benchstat, "benchstat", "", "write the readings for benchstat to this `file`; compare with benchstat -col /side")
	fs.StringVar(&o.svg, "svg", "", "plot how the cost of a cold build grows into this `file`")
	fs.StringVar(&o.cache, "cache", machine.CacheDir("bench"), "a `directory` that is kept between runs, for what is built but not timed")
	fs.StringVar(&o.buildpack, "buildpack", "", "the buildpack's root `directory` (default the checkout around the working directory)")
	if err := machine.ParseFlags(fs, args, out, help); err != nil {
		return options{}, err
	}
	if fs.NArg() > 0 {
		return options{}, fmt.Errorf("unexpected %q: rows are chosen with -run", fs.Arg(0))
	}
	if o.pairs < 1 {
		return options{}, fmt.Errorf("-pairs %d is less than one", o.pairs)
	}
	if o.show && o.json == "" {
		return options{}, errors.New("-show needs -json and the name of a file that an earlier run wrote")
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

func (o options) chosen(r row) bool {
	return o.run.MatchString(r.name) && (o.orchestrion || !r.isOrchestrion())
}

// A job is a group and those of its rows that were asked for.
type job struct {
	group
	name   string
	wanted map[string]bool
	pairs  int
}

func (o options) jobs() []job {
	var jobs []job
	for _, g := range groups() {
		j := job{group: g, wanted: map[string]bool{}, pairs: o.pairs}
		if g.once {
			j.pairs = 1
		}
		var names []string
		peers := false
		for _, name := range g.rows {
			if r, ok := findRow(name); ok && o.chosen(r) {
				j.wanted[name] = true
				peers = peers || r.isOrchestrion()
				names = append(names, name)
			}
		}
		if peers {
			j.each = j.each * 23 / 10 // two sides more, one of them slower
		}
		if j.name = strings.Join(names, " "); j.name != "" {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

// run measures and shows what was asked for. It reports whether no target was
// missed.
func run(ctx context.Context, o options) (ok bool, err error) {
	jobs := o.jobs()
	if len(jobs) == 0 {
		return false, errors.New("no row has such a name: -list shows them, with -orchestrion all of them")
	}
	if o.show {
		if _, err := os.Stat(o.json); err != nil {
			return false, fmt.Errorf("-show: %w", err)
		}
		j, err := openJournal(o.json, "")
		if err != nil {
			return false, err
		}
		defer j.close()
		return publish(o, j)
	}
	began := time.Now()
	say := func(format string, args ...interface{}) {
		fmt.Fprintf(os.Stderr, "%7s  %s\n", time.Since(began).Round(time.Second), fmt.Sprintf(format, args...))
	}
	l, err := openLab(ctx, o.cache, o.buildpack, say)
	if err != nil {
		return false, err
	}
	defer l.close()
	if o.work {
		l.keep = true
		say("WORK=%s", l.tmp)
	}
	j, err := openJournal(o.json, l.release)
	if err != nil {
		return false, err
	}
	defer j.close()

	left := func(from int) (t time.Duration) {
		for _, job := range jobs[from:] {
			t += time.Duration(job.pairs) * job.each
		}
		return t
	}
	var failures []error
	for i, job := range jobs {
		say("%s: %d pairs; all that is left takes about %v", job.name, job.pairs, left(i).Round(time.Minute))
		if err := measure(ctx, l, j, job, left(i+1), say); err != nil {
			if ctx.Err() != nil {
				say("interrupted")
				break
			}
			failures = append(failures, fmt.Errorf("%s: %w", job.name, err))
			say("%v", failures[len(failures)-1])
		}
	}
	ok, err = publish(o, j)
	if len(failures) > 0 {
		return false, fmt.Errorf("%d of %d groups of rows could not be measured, the first: %w", len(failures), len(jobs), failures[0])
	}
	if err == nil {
		err = ctx.Err()
	}
	return ok, err
}

// measure takes the pairs of one job.
func measure(ctx context.Context, l *lab, j *journal, job job, after time.Duration, say func(string, ...interface{})) error {
	var spent time.Duration
	for pair := 1; pair <= job.pairs; pair++ {
		m := &meter{wanted: job.wanted, keep: func(r reading) error {
			say("%s  %s: %s", r.Row, r.Side, r.Unit.show(r.Value))
			return j.add(r)
		}}
		start := time.Now()
		if err := job.measure(ctx, l, pair, m); err != nil {
			return fmt.Errorf("pair %d: %w", pair, err)
		}
		if m.failed != nil {
			return m.failed
		}
		spent += time.Since(start)
		each := spent / time.Duration(pair)
		say("pair %d of %d took %v; about %v left", pair, job.pairs, time.Since(start).Round(time.Second/10),
			(time.Duration(job.pairs-pair)*each + after).Round(time.Second))
	}
	return nil
}

// publish shows the readings in every form that was asked for.
func publish(o options, j *journal) (ok bool, err error) {
	if ok, err = writeTable(os.Stdout, j); err != nil {
		return false, err
	}
	write := func(name string, f func(io.Writer) error) error {
		if name == "" {
			return nil
		}
		file, err := os.Create(name)
		if err != nil {
			return err
		}
		err = f(file)
		if cerr := file.Close(); err == nil {
			err = cerr
		}
		return err
	}
	if err := write(o.benchstat, j.writeBenchstat); err != nil {
		return false, fmt.Errorf("writing the file -benchstat: %w", err)
	}
	if err := write(o.svg, func(w io.Writer) error { return plot(w, j) }); err != nil {
		return false, fmt.Errorf("writing the file -svg: %w", err)
	}
	return ok, nil
}
