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

// What the README says of the cost is made of the readings, and of nothing else.
const (
	readings = "readings.jsonl"
	picture  = "cost.svg"
)

// The README's figures and its plot are those of the readings.
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

	readme := filepath.Join(root, "README.md")
	b, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	const head = "\n| what is measured"
	start := strings.Index(string(b), head) + 1
	if start == 0 {
		t.Fatalf("no table in %s begins with %q", readme, head)
	}
	end := start + strings.Index(string(b[start:]), "\n\n") + 1
	keep(t, readme, string(b[:start])+costTable(j)+string(b[end:]))
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

// costTable is the table as the README has it.
func costTable(j *journal) string {
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
