package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
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
	CPU   float64 `json:"cpu,omitempty"`  // seconds of CPU time in it, where that is known
	Size  int     `json:"size,omitempty"` // packages that the app consists of
}

// A journal holds readings and, if it has a file, writes each to it at once as
// a line of JSON: what ends the command half way through loses nothing.
type journal struct {
	run, release string
	file         *os.File
	readings     []reading
}

// openJournal reads what an earlier run left in the file name, which may be
// empty or not exist yet, and goes on writing to it.
func openJournal(name, release string) (*journal, error) {
	j := &journal{run: time.Now().UTC().Format(time.RFC3339Nano), release: release}
	if name == "" {
		return j, nil
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return nil, fmt.Errorf("opening the file -json: %w", err)
	}
	s := bufio.NewScanner(f)
	for n := 1; s.Scan(); n++ {
		if strings.TrimSpace(s.Text()) == "" {
			continue
		}
		var r reading
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			f.Close()
			return nil, fmt.Errorf("reading the file -json: %s:%d is no reading: %w: remove that line or name another file", name, n, err)
		}
		j.readings = append(j.readings, r)
	}
	if err := s.Err(); err != nil {
		f.Close()
		return nil, fmt.Errorf("reading the file -json: %w", err)
	}
	j.file = f
	return j, nil
}

func (j *journal) add(r reading) error {
	r.Run, r.Go, r.CPUs = j.run, j.release, runtime.NumCPU()
	j.readings = append(j.readings, r)
	if j.file == nil {
		return nil
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if _, err := j.file.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("writing the file -json: %w", err)
	}
	return nil
}

func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	return j.file.Close()
}

// of returns the readings of a row from the last run that has any: figures of
// different runs are never mixed.
func (j *journal) of(name string) []reading {
	var found []reading
	for _, r := range j.readings {
		if r.Row != name {
			continue
		}
		if len(found) > 0 && found[0].Run != r.Run {
			found = nil
		}
		found = append(found, r)
	}
	return found
}

// pairs returns the pairs of a row that are complete, and the same of their CPU
// time where both sides know it.
func (j *journal) pairs(r row) (values, cpu [][2]float64) {
	byPair := map[int]map[string]reading{}
	var order []int
	for _, x := range j.of(r.name) {
		if byPair[x.Pair] == nil {
			byPair[x.Pair] = map[string]reading{}
			order = append(order, x.Pair)
		}
		byPair[x.Pair][x.Side] = x
	}
	for _, n := range order {
		a, ok := byPair[n][r.a]
		b, also := byPair[n][r.b]
		if !ok || !also {
			continue
		}
		values = append(values, [2]float64{a.Value, b.Value})
		if a.CPU > 0 && b.CPU > 0 {
			cpu = append(cpu, [2]float64{a.CPU, b.CPU})
		}
	}
	return values, cpu
}

// summary sums up the pairs of a row; there may be none.
func (j *journal) summary(name string) (summary, error) {
	r, ok := findRow(name)
	if !ok {
		return summary{}, fmt.Errorf("no row %s", name)
	}
	values, _ := j.pairs(r)
	return summarise(values, r.compare.of), nil
}

// size returns how many packages the app of a row consists of, 0 if unknown.
func (j *journal) size(name string) int {
	for _, r := range j.of(name) {
		if r.Size > 0 {
			return r.Size
		}
	}
	return 0
}

// writeBenchstat writes the readings as benchstat reads them, which compares
// the sides with: benchstat -col /side FILE.
func (j *journal) writeBenchstat(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "goos: linux\npkg: github.com/hmetrics/heroku-buildpack-go-metrics/test/bench\n"); err != nil {
		return err
	}
	for _, r := range rows {
		for _, x := range j.of(r.name) {
			value, unit := x.Value, "ns/op"
			switch x.Unit {
			case inSeconds:
				value *= 1e9
			case inBytes:
				unit = "B"
			default:
				unit = string(x.Unit)
			}
			name := strings.ReplaceAll(strings.ReplaceAll(r.name, "/", "_"), "=", "_")
			side := strings.ReplaceAll(x.Side, " ", "_")
			if _, err := fmt.Fprintf(w, "Benchmark/row=%s/side=%s 1 %g %s", name, side, value, unit); err != nil {
				return err
			}
			if x.CPU > 0 {
				fmt.Fprintf(w, " %g cpu-ns/op", x.CPU*1e9)
			}
			if _, err := fmt.Fprintln(w); err != nil {
				return err
			}
		}
	}
	return nil
}
