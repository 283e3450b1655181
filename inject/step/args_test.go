package main

import (
	"strings"
	"testing"
)

// The go command looks for its ID anywhere in the tool's result.
func TestUncached(t *testing.T) {
	for args, want := range map[string]string{
		"-o x -buildid A/A -p main":      "-o x -buildid uncached/A -p main",
		"-buildid=A/B/C/A main.a":        "-buildid=uncached/B/C/A main.a",
		"-buildid=A/B/C/A -buildid=mine": "-buildid=A/B/C/A -buildid=mine",
		"-buildid= main.a":               "-buildid= main.a",
		"-buildid mine main.a":           "-buildid mine main.a",
		"main.a":                         "main.a",
	} {
		if got := strings.Join(uncached(strings.Fields(args)), " "); got != want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
}
