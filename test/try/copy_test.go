//go:build linux

package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// What may be in a tree, and what is to be in its copy.
func TestCopy(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, mode := range map[string]os.FileMode{
		"app/main.go": 0o444, "app/bin/hook": 0o755, "app/.git/HEAD": 0o644, "app/sub/.git": 0o644, "app/sub/go.mod": 0o644,
		"app/.gitignore": 0o644, "app/sealed/file": 0o400, "lib/lib.go": 0o644, "other/file": 0o644, "other/dir/file": 0o644,
	} {
		if err := os.MkdirAll(filepath.Dir(at(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at(name), []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(at("app/sealed"), 0o555); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"app/to-file": "main.go", "app/to-lib": "../lib", "app/to-other-file": "../other/file",
		"app/to-other-dir": "../other/dir", "app/dangling": "../not/there",
	} {
		if err := os.Symlink(text, at(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(at("app/fifo"), 0o666); err != nil {
		t.Fatal(err)
	}
	copied := at("app/tmp/copy") // inside what is copied
	src := source{app: at("app"), base: dir, roots: []string{at("app/sub"), at("app"), at("lib")}}
	skipped, err := src.copy(copied)
	if want := []string{at("app/fifo")}; err != nil || !slices.Equal(skipped, want) {
		t.Errorf("skipped %v (%v), want %v", skipped, err, want)
	}
	got := map[string]string{}
	err = filepath.WalkDir(copied, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() != "sealed" {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(copied, path)
		got[rel] = info.Mode().String()
		if d.Type() == os.ModeSymlink {
			got[rel], err = os.Readlink(path)
		} else if d.Type().IsRegular() {
			var content []byte
			content, err = os.ReadFile(path)
			got[rel] += " " + string(content)
		}
		return err
	})
	want := map[string]string{
		"app/main.go": "-rw-r--r-- app/main.go", "app/bin/hook": "-rwxr-xr-x app/bin/hook", "app/sub/go.mod": "-rw-r--r-- app/sub/go.mod",
		"app/.gitignore": "-rw-r--r-- app/.gitignore", "app/sealed": "drwxr-xr-x", "app/sealed/file": "-rw------- app/sealed/file",
		"app/to-file": "main.go", "app/to-lib": "../lib", "app/to-other-file": "-rw-r--r-- other/file", "app/to-other-dir": at("other/dir"),
		"app/dangling": "../not/there", "lib/lib.go": "-rw-r--r-- lib/lib.go",
	}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("the copy has (%v)\n%q\nwant\n%q", err, got, want)
	}
}
