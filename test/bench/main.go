// Command bench measures what the buildpack costs, compared with the alternatives. See
// its -h. README.md has the readings that are kept here.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/dsnet/try"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

const help = `Measure what the buildpack costs in builds, programs and CPU time, compared with a
plain build and the alternatives. test/bench/README.md describes the rows.

Usage: go run ./test/bench [flags]

The two sides of a row are measured in turn. The table shows the medians of the pairs,
and their spread. With -json, it shows the last run of each row in the file.

Examples:

	go run ./test/bench -run '^cold/web' -pairs 3 -json readings.jsonl
	go run ./test/bench -pairs 0 -json readings.jsonl

Exit status: 0 if every target is met, 1 if not or if a row could not be measured, 2
if the command line is wrong.

Rows:`

func main() {
	o, err := parse(os.Args[1:], os.Stdout)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	status, met := 2, false
	if err == nil {
		status = 1
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		met, err = run(ctx, o)
		stop()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	if err != nil || !met {
		os.Exit(status)
	}
}

// options are what the command line says.
type options struct {
	rows  []row // chosen
	pairs int
	json  string
}

func parse(args []string, out io.Writer) (o options, err error) {
	chosen := regexp.MustCompile("")
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.Func("run", "measure only the rows whose name this `regexp` matches", func(s string) (err error) {
		chosen, err = regexp.Compile(s)
		return err
	})
	fs.IntVar(&o.pairs, "pairs", 7, "measure each row this many `times`; 0 shows the file of -json")
	fs.StringVar(&o.json, "json", "", "append the readings to this `file`, one line of JSON each")
	text := help
	for i, r := range rows {
		if i%8 == 0 {
			text += "\n "
		}
		text += " " + r.name
	}
	if err := machine.ParseFlags(fs, args, out, text); err != nil {
		return o, err
	}
	for _, r := range rows {
		if chosen.MatchString(r.name) {
			o.rows = append(o.rows, r)
		}
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected %q: choose rows with -run", fs.Arg(0))
	case o.pairs < 0 || o.pairs == 0 && o.json == "":
		return o, fmt.Errorf("-pairs %d measures nothing, and no -json names a file to show", o.pairs)
	case len(o.rows) == 0:
		return o, fmt.Errorf("-run %v matches no row: -h lists them", chosen)
	}
	return o, nil
}

// run measures rows after rows and shows what the file holds then. What fails in some does
// not cost the next. It reports whether no target is missed.
func run(ctx context.Context, o options) (met bool, err error) {
	defer try.Handle(&err)
	j := try.E1(openJournal(o.json))
	defer j.file.Close()
	if o.pairs > 0 {
		w := openWorkspace(ctx, machine.CacheDir("bench"))
		defer w.close()
		j.release = w.release
		for left := o.rows; len(left) > 0 && ctx.Err() == nil; {
			m := &measurement{workspace: w, journal: j}
			for len(left) > 0 && (m.rows == nil || m.rows[0].kind == left[0].kind && m.rows[0].app.name == left[0].app.name) {
				m.rows, left = append(m.rows, left[0]), left[1:]
			}
			if e := m.repeat(ctx, o.pairs); e != nil {
				err = errors.Join(err, e)
				log.Print(e)
			}
			log.Printf("%d rows follow", len(left))
		}
	}
	table, met := j.table()
	tw := tabwriter.NewWriter(os.Stdout, 0, 0, 1, ' ', 0)
	fmt.Fprint(tw, strings.ReplaceAll(table, "|", "\t|"))
	tw.Flush()
	return met, err
}

// A measurement takes pairs of readings, one of each side, of rows that share them.
type measurement struct {
	*workspace
	rows     []row
	journal  *journal
	n, pairs int // how often it is made, from 1, and the pairs that it has taken
}

// repeat measures n times, or once where the next would be the same.
func (m *measurement) repeat(ctx context.Context, n int) (err error) {
	defer try.HandleF(&err, func() { err = fmt.Errorf("measuring %s for the %d. time: %w", m.rows[0].name, m.n, err) })
	if m.rows[0].kind == growth {
		n = 1
	}
	start := time.Now()
	for m.n = 1; m.n <= n; m.n++ {
		m.rows[0].measure(ctx, m)
		log.Printf("%s: %d of %d; the rest take about %v", m.rows[0].name, m.n, n,
			(time.Since(start) / time.Duration(m.n) * time.Duration(n-m.n)).Round(time.Second))
	}
	return nil
}

// add takes the readings of a row.
func (m *measurement) add(r row, a, b took) {
	m.pairs++
	for i, t := range []took{a, b} {
		side := []string{r.a, r.b}[i]
		log.Printf("%s  %s: %s", r.name, side, r.show(t.wall))
		m.journal.add(reading{Row: r.name, Pair: m.pairs, Side: side, Unit: r.unit, Value: t.wall, CPU: t.cpu})
	}
}
