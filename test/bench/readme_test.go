package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

// What is said of the cost is made of the readings, and of nothing else: the table
// beside them, the plot, and the figures in the repository's README.
const (
	readings = "readings.jsonl"
	picture  = "cost.svg"
)

func TestReadme(t *testing.T) {
	root, err := machine.Checkout("")
	if err != nil {
		t.Fatal(err)
	}
	j, err := openJournal(readings, "")
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	var svg bytes.Buffer
	if err := plot(&svg, j); err != nil {
		t.Fatal(err)
	}
	keep(t, picture, svg.String())

	table(t, "README.md", costTable(j, rows))
	var few []row
	for _, r := range rows {
		if r.name == "cold/web" || r.name == "edit/web" || r.name == "slug/web" {
			few = append(few, r)
		}
	}
	table(t, filepath.Join(root, "README.md"), costTable(j, few))
}

// table compares the table in a file with what it should be.
func table(t *testing.T, name, want string) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	const head = "\n| what is measured"
	start := strings.Index(string(b), head) + 1
	if start == 0 {
		t.Fatalf("no table in %s begins with %q", name, head)
	}
	end := len(b)
	if i := strings.Index(string(b[start:]), "\n\n"); i >= 0 {
		end = start + i + 1
	}
	keep(t, name, string(b[:start])+want+string(b[end:]))
}

// keep compares what a file holds with what it should hold, or with -update
// makes it so.
func keep(t *testing.T, name, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not made of %s, or no longer: go test ./test/bench -run TestReadme -update", name, readings)
	}
}

// costTable is a table of some rows.
func costTable(j *journal, rows []row) string {
	out := fmt.Sprintf("| what is measured (%s, %d CPUs) | beside it | with it | compared | lowest … highest | Orchestrion |\n|---|---|---|---|---|---|\n",
		j.readings[0].Go, j.readings[0].CPUs)
	for _, r := range rows {
		s, err := j.summary(r.name)
		if err != nil || s.pairs == 0 || r.isOrchestrion() || strings.HasPrefix(r.name, "init/") {
			continue
		}
		spread := r.shown(s.low) + " … " + r.shown(s.high)
		if s.low == s.high { // what does not vary
			spread = ""
		}
		beside := ""
		if s, err := j.summary(peer(r.name)); err == nil && s.pairs > 0 {
			beside = r.shown(s.mid)
		}
		out += fmt.Sprintf("| %s | %s: %s | %s | %s | %s | %s |\n", r.what, r.against, r.unit.show(s.b), r.unit.show(s.a), r.shown(s.mid), spread, beside)
	}
	return out
}
