package main

import (
	"os"
	"path/filepath"
	"testing"
)

// Two names of one file are swapped; if the third swap fails, all are put back.
func TestPutInPlace(t *testing.T) {
	for _, fails := range []bool{false, true} {
		dir := t.TempDir()
		at := func(name string) string { return filepath.Join(dir, name) }
		if err := os.WriteFile(at("made"), []byte("new"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at("a"), []byte("old"), 0o751); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(at("a"), at("b")); err != nil {
			t.Fatal(err)
		}
		var swaps []swap
		for _, name := range []string{"a", "b", "b"} { // what lies beside b can be moved once
			file, err := os.Lstat(at(name))
			if err != nil {
				t.Fatal(err)
			}
			swaps = append(swaps, swap{name: at(name), file: file, made: at("made")})
		}
		want := "old"
		if !fails {
			swaps, want = swaps[:2], "new"
		}
		if whole, err := putInPlace(swaps); !whole || (err != nil) != fails {
			t.Errorf("fails %v: whole %v, error %v", fails, whole, err)
		}
		a, errA := os.Lstat(at("a"))
		b, errB := os.Lstat(at("b"))
		text, err := os.ReadFile(at("a"))
		if errA != nil || errB != nil || err != nil || !os.SameFile(a, b) || string(text) != want || a.Mode() != 0o751 {
			t.Errorf("fails %v: a holds %q with mode %v (%v, %v, %v)", fails, text, a.Mode(), errA, errB, err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 3 {
			t.Errorf("fails %v: the directory holds %v", fails, left)
		}
	}
}
