package main

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func find(name string) row {
	return rows()[slices.IndexFunc(rows(), func(r row) bool { return r.name == name })]
}

// fill adds pairs of readings of a row.
func fill(j *journal, r row, pairs ...[2]float64) {
	for i, p := range pairs {
		j.add(reading{Row: r.name, Pair: i + 1, Side: r.a, Value: p[0], CPU: 2 * p[0]})
		j.add(reading{Row: r.name, Pair: i + 1, Side: r.b, Value: p[1], CPU: p[1]})
	}
}

func TestSummary(t *testing.T) {
	pairs := [][2]float64{{10, 10}, {22, 20}, {33, 30}, {12, 10}, {50, 100}}
	for name, want := range map[string]summary{
		"cold/web": {pairs: 5, a: 22, b: 20, mid: 1.1, low: 0.5, high: 1.2, cpu: 2.2},
		"edit/web": {pairs: 5, a: 22, b: 20, mid: 2, low: -50, high: 3, cpu: 2.2},
	} {
		j := &journal{}
		fill(j, find(name), pairs...)
		got := j.summary(find(name))
		want.machine = got.machine
		if got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("median %v", got)
	}
}

// The table shows the last run of each row, whole pairs alone, and what is missed.
func TestJournal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "readings")
	r := find("cold/web")
	for run, pairs := range [][][2]float64{{{7, 1}, {8, 1}, {9, 1}}, {{1.5, 1}, {2, 1}}} {
		j := must(openJournal(file))
		j.run = string(rune('a' + run))
		fill(j, r, pairs...)
		j.file.Close()
	}
	j := must(openJournal(file))
	defer j.file.Close()
	j.add(reading{Row: "cold/10", Pair: 1, Side: plain, Value: 3})
	if s := j.summary(r); s.pairs != 2 || s.a != 1.75 {
		t.Errorf("of the last run %+v", s)
	}
	table, met := j.table(rows(), true)
	if met || !strings.Contains(table, "1.750") || !strings.Contains(table, "≤ 1.040: missed") || strings.Contains(table, "cold/10") {
		t.Errorf("%v\n%s", met, table)
	}
	check(os.WriteFile(file, []byte("{}\nnonsense\n"), 0o666))
	if _, err := openJournal(file); err == nil || !strings.Contains(err.Error(), file+":2") {
		t.Errorf("a damaged file: %v", err)
	}
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		row  string
		mid  float64
		want string
	}{
		{"cold/web", 1.04, "≤ 1.040: met"}, {"cold/web", 1.0401, "≤ 1.040: missed"}, {"cold/10", 2, ""},
		{"nochange/web", 0.06, "≤ +60 ms: met"}, {"nochange/web", 0.061, "≤ +60 ms: missed"},
	} {
		if got, missed := find(c.row).verdict(summary{mid: c.mid}); got != c.want || missed != strings.HasSuffix(got, "missed") {
			t.Errorf("%s: %q, %v, want %q", c.row, got, missed, c.want)
		}
	}
}

// The plot is XML, says how pairs compare, and does not depend on the hour in which
// Orchestrion was measured.
func TestPlot(t *testing.T) {
	var plots [2]string
	for i := range plots {
		j := &journal{}
		for name, seconds := range map[string]float64{"cold/10": 30, "cold/1000": 150, "cold/web": 60, "mains/20": 90} {
			slower := seconds * float64(i+1)
			fill(j, find(name), [2]float64{seconds * 1.25, seconds})
			fill(j, find(name).orchestrion(), [2]float64{slower * 1.5, slower})
		}
		plots[i] = must(j.plot())
	}
	if plots[0] != plots[1] {
		t.Error("the plot depends on the time at which the peer was measured")
	}
	check(xml.Unmarshal([]byte(plots[0]), new(struct{})))
	for _, want := range []string{"× 1.25", "× 1.50", "with this buildpack", "1,000", "main packages of a web app"} {
		if !strings.Contains(plots[0], ">"+want+"<") {
			t.Errorf("the plot does not say %q:\n%s", want, plots[0])
		}
	}
}

// Apps consist of as many packages as their shape says, and an edit changes them.
func TestApps(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: this fetches modules")
	}
	w := openWorkspace(t.Context(), t.TempDir(), "", t.Logf)
	defer w.close()
	for _, s := range []shape{webApp, webApp.with(library), workerApp, workerApp.with(client), find("mains/5").app, find("cold/1000").app} {
		a := w.generate(t.Context(), s)
		own, _ := w.run(t.Context(), a.dir, w.environ, w.gocmd, "list", "-deps", "-tags", "heroku", "-f", `{{if not (or .Standard (eq .Name "main"))}}{{.ImportPath}}{{end}}`, "./...")
		want := s.packages
		if slices.Contains(s.extras, "library.go") {
			want += 2 // heroku/x/hmetrics and its onload
		}
		if got := len(strings.Fields(own)); got != want {
			t.Errorf("%s consists of %d packages besides the standard library, want %d", s.name, got, want)
		}
		main := filepath.Join(a.dir, "cmd", a.main, "main.go")
		before := string(must(os.ReadFile(main)))
		a.edit(3)
		if string(must(os.ReadFile(main))) == before {
			t.Errorf("%s: the edit changed nothing", s.name)
		}
	}
}

func TestCommandLine(t *testing.T) {
	for _, args := range [][]string{{"-pairs", "-1"}, {"-pairs", "0"}, {"-run", "("}, {"-run", "nothing has this name"}, {"cold"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
	for args, want := range map[string]string{"-run=^cold/web": "cold/web", "-run=^cold/web -orchestrion": "cold/web cold/web/orchestrion", "-run=web/o -orchestrion": "cold/web/orchestrion nochange/web/orchestrion edit/web/orchestrion"} {
		all := must(parse(strings.Fields(args), io.Discard)).chosen()
		if len(all) != 1 || strings.Join(all[0].names, " ") != want {
			t.Errorf("%s chooses %+v", args, all)
		}
	}
}

// What fails in one pair does not cost the readings of those before.
func TestFailureKeepsTheRest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "readings")
	j := must(openJournal(file))
	defer j.file.Close()
	r := find("step")
	p := &pair{names: []string{"step"}, journal: j, say: t.Logf, group: group{measure: func(_ context.Context, _ *workspace, p *pair) {
		if p.n == 2 {
			check(errors.New("the disk is full"))
		}
		p.add(r, r.a, took{wall: 0.003})
		p.add(r, r.b, took{wall: 0.002})
	}}}
	if err := p.repeat(t.Context(), nil, 3); err == nil || p.n != 2 {
		t.Errorf("got %v", err)
	}
	if b := must(os.ReadFile(file)); strings.Count(string(b), "\n") != 2 {
		t.Errorf("the file holds\n%s", b)
	}
}
