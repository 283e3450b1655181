package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dsnet/try"
)

// What fails in one pair does not cost those before. The table shows the last run in a
// file, whole pairs alone, and whether a target is missed. TestReadme has the rest of it.
func TestMeasure(t *testing.T) {
	file := filepath.Join(t.TempDir(), "readings")
	for _, c := range []struct {
		values []float64
		want   string
	}{
		{[]float64{1.04, 9, 1}, "| 1.040 | 1.000 … 9.000 |  | 3 |  | ≤ 1.040: met |"},
		{[]float64{1.0401}, "| 1.040 |  |  | 1 |  | ≤ 1.040: missed |"},
	} {
		r := rows[0]
		r.kind = &kind{unit: "s", measure: func(_ context.Context, m *measurement) {
			if m.n > len(c.values) {
				m.journal.add(reading{Row: r.name, Pair: m.n, Side: r.a, Value: 7})
				try.E(errors.New("the disk is full"))
			}
			m.add(r, took{wall: c.values[m.n-1]}, took{wall: 1})
		}}
		j := try.E1(openJournal(file))
		err := (&measurement{rows: []row{r}, journal: j}).repeat(t.Context(), 9)
		j.file.Close()
		j = try.E1(openJournal(file))
		j.file.Close()
		if table, met := j.table(); err == nil || met == strings.Contains(c.want, "missed") || !strings.Contains(table, c.want) {
			t.Errorf("%v, all targets met: %v\n%s\nwant %s", err, met, table, c.want)
		}
	}
	try.E(os.WriteFile(file, []byte("{}\nnonsense\n"), 0o666))
	if _, err := openJournal(file); err == nil || !strings.Contains(err.Error(), file+":2") {
		t.Errorf("a damaged file: %v", err)
	}
}

func TestCommandLine(t *testing.T) {
	for args, want := range map[string]int{
		"-pairs -1": 0, "-pairs 0": 0, "-run (": 0, "-run none": 0, "cold": 0, // errors
		"": len(rows), "-run ^cold/web": 1, "-run ^cold/web -orchestrion": 2, "-run web/o -orchestrion": 3,
	} {
		o, err := parse(strings.Fields(args), io.Discard)
		if (err == nil) != (want > 0) || err == nil && len(o.rows) != want {
			t.Errorf("%s: %v, %d rows", args, err, len(o.rows))
		}
	}
}
