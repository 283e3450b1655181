package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

// What is said of the cost is made of the readings, and of nothing else: the table beside
// them, the plot, and the figures in the repository's README.
func TestReadme(t *testing.T) {
	j := must(openJournal("readings.jsonl"))
	defer j.file.Close()
	keep(t, "cost.svg", must(j.plot()))
	few := slices.DeleteFunc(rows(), func(r row) bool { return !strings.Contains(" cold/web edit/web slug/web slug/otlp ", " "+r.name+" ") })
	for _, c := range []struct {
		file string
		rows []row
		full bool
	}{
		{"README.md", rows(), true},
		{filepath.Join(must(machine.Checkout("")), "README.md"), few, false},
	} {
		table, _ := j.table(c.rows, c.full)
		head, _, _ := strings.Cut(table, "(")
		before, rest, found := strings.Cut(string(must(os.ReadFile(c.file))), "\n"+head)
		if !found {
			t.Fatalf("%s has no table that begins with %q", c.file, head)
		}
		_, after, _ := strings.Cut(rest, "\n\n")
		keep(t, c.file, strings.TrimRight(before+"\n"+table+"\n"+after, "\n")+"\n")
	}
}

// keep compares what a file holds with what it should hold, or with -update makes it so.
func keep(t *testing.T, name, want string) {
	t.Helper()
	if *update {
		check(os.WriteFile(name, []byte(want), 0o666))
	} else if string(must(os.ReadFile(name))) != want {
		t.Errorf("%s is not made of readings.jsonl, or no longer: go test ./test/bench -run TestReadme -update", name)
	}
}
