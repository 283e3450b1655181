package herokugo

import (
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestCopyTree is long because it lists what is in a tree and what is to be in its copy.
func TestCopyTree(t *testing.T) {
	dir := resolved(t, t.TempDir())
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, content := range map[string]string{
		"app/main.go": "package main", "app/bin/hook": "#!/bin/sh", "app/.git/HEAD": "ref", "app/sub/.git": "gitdir: elsewhere",
		"app/sub/go.mod": "module sub", "app/.gitignore": "*.o", "app/sealed/file": "sealed",
		"lib/lib.go": "package lib", "other/file": "other", "other/dir/file": "other",
	} {
		writeFile(t, at(name), content)
	}
	for name, text := range map[string]string{
		"app/to-file": "main.go", "app/absolute-inside": at("app/sub"), "app/to-lib": "../lib",
		"app/to-other-file": "../other/file", "app/to-other-dir": "../other/dir", "app/dangling": "../not/there",
	} {
		if err := os.Symlink(text, at(name)); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("unix", at("app/socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, mode := range map[string]os.FileMode{"app/main.go": 0o444, "app/sealed/file": 0o400, "app/sealed": 0o555} {
		if err := os.Chmod(at(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { os.Chmod(at("app/sealed"), 0o755) })

	copied := at("app/tmp/copy") // inside what is copied
	skipped, err := CopyTree(copied, dir, at("app/sub"), at("app"), at("lib"))
	if want := []string{at("app/socket")}; err != nil || !slices.Equal(skipped, want) {
		t.Errorf("skipped %v (%v), want %v", skipped, err, want)
	}
	got := map[string]string{}
	err = filepath.WalkDir(copied, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(copied, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		got[rel] = info.Mode().String()
		if d.Type() == os.ModeSymlink {
			text, err := os.Readlink(path)
			got[rel] = "-> " + text
			return err
		}
		if d.IsDir() {
			return nil
		}
		b, err := os.ReadFile(path)
		got[rel] += " " + string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	directory := got["lib"]
	want := map[string]string{
		"app/main.go":         "-rw-r--r-- package main",
		"app/bin/hook":        "-rwxr-xr-x #!/bin/sh",
		"app/sub/go.mod":      "-rwxr-xr-x module sub",
		"app/.gitignore":      "-rwxr-xr-x *.o",
		"app/sealed":          "drwxr-xr-x",
		"app/sealed/file":     "-rw------- sealed",
		"app/to-file":         "-> main.go",
		"app/absolute-inside": "-> sub",
		"app/to-lib":          "-> ../lib",
		"app/to-other-file":   "-rwxr-xr-x other",
		"app/to-other-dir":    "-> " + at("other/dir"),
		"app/dangling":        "-> ../not/there",
		"lib/lib.go":          "-rwxr-xr-x package lib",
	}
	for _, name := range []string{".", "app", "app/bin", "app/sub", "app/tmp", "lib"} {
		want[name] = directory
	}
	if !maps.Equal(got, want) {
		t.Errorf("the copy has\n%q\nwant\n%q", got, want)
	}
}

func TestCopyTreeOfALink(t *testing.T) {
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "real", "sub", "file"), "")
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := CopyTree(filepath.Join(dir, "copy"), filepath.Join(dir, "link")); err != nil || !isDir(filepath.Join(dir, "copy", "sub")) {
		t.Errorf("what the link leads to was not copied: %v", err)
	}
	if _, err := CopyTree(filepath.Join(dir, "copy2"), filepath.Join(dir, "real"), dir); err == nil {
		t.Error("no error for a subtree that is not one")
	}
}

func TestRemoveAll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	writeFile(t, filepath.Join(dir, "a", "b", "file"), "")
	for _, sub := range []string{"a/b", "a"} {
		if err := os.Chmod(filepath.Join(dir, sub), 0o555); err != nil {
			t.Fatal(err)
		}
	}
	if err := RemoveAll(dir); err != nil || isDir(dir) {
		t.Errorf("it is still there: %v", err)
	}
}
