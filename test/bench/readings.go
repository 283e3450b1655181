package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"
)

// A reading is one side of one pair.
type reading struct {
	Run   string  `json:"run"` // when the command was started
	Go    string  `json:"go"`
	CPUs  int     `json:"cpus"`
	Row   string  `json:"row"`
	Pair  int     `json:"pair"` // from 1
	Side  string  `json:"side"`
	Unit  unit    `json:"unit"`
	Value float64 `json:"value"`
	CPU   float64 `json:"cpu,omitempty"` // seconds of CPU time in it, where that is known
}

// A journal holds readings and, if it has a file, writes each to it at once as a line
// of JSON: what ends the command half way through loses nothing.
type journal struct {
	run, release string
	file         *os.File // may be nil
	readings     []reading
}

// openJournal reads what an earlier run left in the file name, which may be empty or
// not exist yet, and goes on writing to it.
func openJournal(name string) (*journal, error) {
	j := &journal{run: time.Now().UTC().Format(time.RFC3339Nano)}
	if name == "" {
		return j, nil
	}
	b, err := os.ReadFile(name)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	for n, line := range bytes.Split(bytes.TrimSpace(b), []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		var r reading
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("%s:%d is no reading: %w: remove that line or name another file", name, n+1, err)
		}
		j.readings = append(j.readings, r)
	}
	j.file, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	return j, err
}

func (j *journal) add(r reading) error {
	r.Run, r.Go, r.CPUs = j.run, j.release, runtime.NumCPU()
	j.readings = append(j.readings, r)
	if j.file == nil {
		return nil
	}
	return json.NewEncoder(j.file).Encode(r)
}

// last returns the readings of a row from the last run that has any: figures of
// different runs are never mixed.
func (j *journal) last(name string) (found []reading) {
	for _, r := range j.readings {
		if r.Row == name {
			if len(found) > 0 && found[0].Run != r.Run {
				found = nil
			}
			found = append(found, r)
		}
	}
	return found
}

// A summary is what the pairs of a row come to. The spread, from low to high, is a
// confidence interval of the median: 94 % with five pairs, 97 % with six.
type summary struct {
	pairs     int
	a, b      float64 // medians of both sides
	mid       float64 // median of what compares the sides of a pair
	low, high float64
	cpu       float64 // median of the ratio of CPU time, 0 if that is not known
	machine   string
}

// summary sums up the pairs of a row that have both sides; there may be none.
func (j *journal) summary(r row) (s summary) {
	sides := map[string]map[int]reading{r.a: {}, r.b: {}}
	for _, x := range j.last(r.name) {
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
		as, bs, compared = append(as, a.Value), append(bs, b.Value), append(compared, r.compared(a.Value, b.Value))
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

// table returns a table of the rows that have readings, and whether no target is
// missed. The full one has what is needed to judge a row.
func (j *journal) table(rows []row, full bool) (text string, met bool) {
	met = true
	machine := ""
	for _, r := range rows {
		s := j.summary(r)
		if s.pairs == 0 {
			continue
		}
		machine = s.machine
		spread, beside := r.shown(s.low)+" … "+r.shown(s.high), ""
		if s.low == s.high { // what does not vary
			spread = ""
		}
		if o := j.summary(r.orchestrion()); o.pairs > 0 {
			beside = r.shown(o.mid)
		}
		target, missed := r.verdict(s)
		met = met && !missed
		line := fmt.Sprintf("| %s | %s: %s | %s | %s | %s | %s |", r.what, r.against, r.unit.show(s.b), r.unit.show(s.a), r.shown(s.mid), spread, beside)
		if full {
			cpu := ""
			if s.cpu > 0 {
				cpu = fmt.Sprintf("%.3f", s.cpu)
			}
			line = fmt.Sprintf("| %s %s %d | %s | %s |", r.name, line, s.pairs, cpu, target)
		}
		text += line + "\n"
	}
	head, rule := "| what is measured ("+machine+") | beside it | with it | compared | lowest … highest | Orchestrion |", "|---|---|---|---|---|---|"
	if full {
		head, rule = "| row "+head+" pairs | CPU | target |", rule+"---|---|---|---|"
	}
	return head + "\n" + rule + "\n" + text, met
}
