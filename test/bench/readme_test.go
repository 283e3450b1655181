package main

import (
	"os"
	"strings"
	"testing"

	"github.com/dsnet/try"
)

// The figures on the cost come from the readings: the table here, and the table in
// the repository's README.
func TestReadme(t *testing.T) {
	j := try.E1(openJournal("readings.jsonl"))
	defer j.file.Close()
	for file, brief := range map[string][]string{"README.md": nil, "../../README.md": {"cold/web", "edit/web", "slug/web", "slug/otlp"}} {
		table, _ := j.table(brief...)
		head, _, _ := strings.Cut(table, "(")
		before, rest, found := strings.Cut(string(try.E1(os.ReadFile(file))), "\n"+head)
		if !found {
			t.Fatalf("%s has no table that begins with %q", file, head)
		}
		_, after, _ := strings.Cut(rest, "\n\n")
		checkFile(t, file, strings.TrimRight(before+"\n"+table+"\n"+after, "\n")+"\n")
	}
}

// checkFile compares a file with its wanted content, or with -update writes that.
func checkFile(t *testing.T, name, want string) {
	t.Helper()
	if *update {
		try.E(os.WriteFile(name, []byte(want), 0o666))
	} else if string(try.E1(os.ReadFile(name))) != want {
		t.Errorf("%s does not match readings.jsonl: go test ./test/bench -run TestReadme -update", name)
	}
}
