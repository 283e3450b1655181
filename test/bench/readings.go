package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/dsnet/try"
)

// A reading is one side of one pair.
type reading struct {
	Run   string  `json:"run"` // when the command was started
	Go    string  `json:"go"`
	CPUs  int     `json:"cpus"`
	Row   string  `json:"row"`
	Pair  int     `json:"pair"` // from 1
	Side  string  `json:"side"`
	Unit  string  `json:"unit"`
	Value float64 `json:"value"`
	CPU   float64 `json:"cpu,omitempty"` // seconds of CPU time in it, where that is known
}

// A journal holds readings and writes each to a file at once, as a line of JSON, so an
// interrupted command loses nothing.
type journal struct {
	run, release string
	file         *os.File
	readings     []reading
}

// openJournal reads the readings of earlier runs from a file, and appends to it. name may be
// empty, and the file need not exist.
func openJournal(name string) (j *journal, err error) {
	defer try.Handle(&err)
	file := try.E1(os.OpenFile(cmp.Or(name, os.DevNull), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o666))
	j = &journal{run: time.Now().UTC().Format(time.RFC3339Nano), file: file}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var r reading
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("%s:%d is no reading: %w: remove that line or name another file", name, len(j.readings)+1, err)
		}
		j.readings = append(j.readings, r)
	}
	return j, nil
}

func (j *journal) add(r reading) {
	r.Run, r.Go, r.CPUs = j.run, j.release, runtime.NumCPU()
	j.readings = append(j.readings, r)
	try.E(json.NewEncoder(j.file).Encode(r))
}

// A summary summarizes the pairs of a row. The spread, from low to high, is a
// confidence interval of the median: 94 % with five pairs, 97 % with six.
type summary struct {
	pairs     int
	a, b      float64 // medians of both sides
	mid       float64 // median of what compares the sides of a pair
	low, high float64
	cpu       float64 // median of the ratio of CPU time, 0 if that is not known
	machine   string
}

// summary summarizes the complete pairs of a row; there may be none. They come from the last
// run that has any: figures of different runs are never mixed.
func (j *journal) summary(r row) (s summary) {
	sides, run := map[string]map[int]reading{}, ""
	for _, x := range j.readings {
		if x.Row != r.name {
			continue
		}
		if x.Run != run {
			sides, run = map[string]map[int]reading{r.a: {}, r.b: {}}, x.Run
		}
		if of := sides[x.Side]; of != nil {
			of[x.Pair] = x
		}
	}
	var as, bs, compared, cpus []float64
	for n, a := range sides[r.a] {
		b, ok := sides[r.b][n]
		if !ok {
			continue
		}
		c := a.Value / b.Value
		if r.difference {
			c = a.Value - b.Value
		}
		as, bs, compared = append(as, a.Value), append(bs, b.Value), append(compared, c)
		if a.CPU > 0 && b.CPU > 0 {
			cpus = append(cpus, a.CPU/b.CPU)
		}
		s.machine = fmt.Sprintf("%s, %d CPUs", a.Go, a.CPUs)
	}
	s.pairs, s.a, s.b, s.mid, s.cpu = len(as), median(as), median(bs), median(compared), median(cpus)
	if s.pairs > 0 {
		s.low, s.high = slices.Min(compared), slices.Max(compared)
	}
	return s
}

// median returns the middle of the values, 0 if there are none.
func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	n := len(v)
	if n == 0 {
		return 0
	}
	return (v[(n-1)/2] + v[n/2]) / 2
}

// table returns a table of the rows that have readings, and whether every target is met.
// If brief names rows, the table has only these, with fewer columns.
func (j *journal) table(brief ...string) (text string, met bool) {
	full, met := len(brief) == 0, true
	machine := ""
	for _, r := range rows {
		s := j.summary(r)
		if s.pairs == 0 || !full && !slices.Contains(brief, r.name) {
			continue
		}
		machine = s.machine
		spread, cpu, target := "", "", ""
		if s.low != s.high { // what does not vary has none
			spread = r.shown(s.low) + " … " + r.shown(s.high)
		}
		if s.cpu > 0 {
			cpu = fmt.Sprintf("%.3f", s.cpu)
		}
		if r.target > 0 {
			verdict := map[bool]string{true: "met", false: "missed"}[s.mid <= r.target]
			target = "≤ " + r.shown(r.target) + ": " + verdict
			met = met && verdict == "met"
		}
		text += line(full, []string{r.name, r.what, r.against + ": " + r.show(s.b), r.show(s.a), r.shown(s.mid), spread,
			fmt.Sprint(s.pairs), cpu, target})
	}
	head := line(full, []string{"row", "what is measured (" + machine + ")", "baseline", "with the buildpack", "ratio or difference", "lowest … highest",
		"pairs", "CPU", "target"})
	return head + strings.Repeat("|---", strings.Count(head, "|")-1) + "|\n" + text, met
}

func line(full bool, columns []string) string {
	if !full {
		columns = columns[1:6]
	}
	return "| " + strings.Join(columns, " | ") + " |\n"
}
