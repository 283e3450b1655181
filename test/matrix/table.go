package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// A result is what came of a cell.
type result struct {
	cell    cell
	seen    string
	skipped string // why it was not run
	problem string // what is not as expected
	took    time.Duration
	log     string
}

func (r result) failed() bool { return r.problem != "" }

// A table shows a line for each result, in the order of the cells.
type table struct {
	w              io.Writer
	cell, expected int // widths of columns
	passed, failed int
	skipped        []string
}

func newTable(w io.Writer, cells []cell) *table {
	t := &table{w: w}
	for _, c := range cells {
		t.cell = atLeast(t.cell, len(c.name))
		t.expected = atLeast(t.expected, len(c.expectation()))
	}
	t.line("cell", "expected", "time", "seen")
	return t
}

func atLeast(width, n int) int {
	if n > width {
		return n
	}
	return width
}

func (t *table) line(cell, expected, time, seen string) {
	fmt.Fprintf(t.w, "%-*s  %-*s  %7s  %s\n", t.cell, cell, t.expected, expected, time, seen)
}

func (t *table) add(r result) {
	took, seen := fmt.Sprintf("%.1f s", r.took.Seconds()), r.seen
	switch {
	case r.skipped != "":
		t.skipped = append(t.skipped, r.cell.name+": "+r.skipped)
		took, seen = "", "skipped: "+r.skipped
	case r.failed():
		t.failed++
		seen = "FAILED: " + r.problem
	default:
		t.passed++
	}
	t.line(r.cell.name, r.cell.expectation(), took, seen)
}

// end prints the line that counts the cells.
func (t *table) end(took time.Duration) {
	reasons := ""
	if len(t.skipped) > 0 {
		reasons = " (" + strings.Join(t.skipped, "; ") + ")"
	}
	fmt.Fprintf(t.w, "%d cells in %v: %d passed, %d failed, %d skipped%s\n",
		t.passed+t.failed+len(t.skipped), took.Round(time.Second), t.passed, t.failed, len(t.skipped), reasons)
}
