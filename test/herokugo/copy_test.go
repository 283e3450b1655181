package herokugo

import (
	"net"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"testing"
)

func TestCopyTree(t *testing.T) {
	dir := resolved(t, t.TempDir())
	at := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, content string, mode os.FileMode) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(at(name)), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at(name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(at(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	link := func(text, name string) {
		t.Helper()
		if err := os.Symlink(text, at(name)); err != nil {
			t.Fatal(err)
		}
	}
	write("app/main.go", "package main", 0o444)
	write("app/bin/hook", "#!/bin/sh", 0o755)
	write("app/.git/HEAD", "ref", 0o644)
	write("app/sub/.git", "gitdir: elsewhere", 0o644)
	write("app/sub/go.mod", "module sub", 0o644)
	write("app/.gitignore", "*.o", 0o644)
	write("app/sealed/file", "sealed", 0o400)
	write("lib/lib.go", "package lib", 0o644)
	write("other/file", "other", 0o644)
	write("other/dir/file", "other", 0o644)
	link("main.go", "app/to-file")
	link(at("app/sub"), "app/absolute-inside")
	link("../lib", "app/to-lib")
	link("../other/file", "app/to-other-file")
	link("../other/dir", "app/to-other-dir")
	link("../not/there", "app/dangling")
	l, err := net.Listen("unix", at("app/socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(at("app/sealed"), 0o555); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(at("app/sealed"), 0o755) })

	copied := at("app/tmp/copy") // inside what is copied
	skipped, err := CopyTree(copied, dir, at("app/sub"), at("app"), at("lib"))
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{at("app/socket")}; !reflect.DeepEqual(skipped, want) {
		t.Errorf("skipped %v, want %v", skipped, want)
	}

	got := map[string]string{}
	err = filepath.Walk(copied, func(path string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(copied, path)
		if err != nil {
			return err
		}
		got[rel] = info.Mode().String()
		if info.Mode()&os.ModeSymlink != 0 {
			text, err := os.Readlink(path)
			got[rel] = "-> " + text
			return err
		}
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(path)
			got[rel] += " " + string(b)
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"app/main.go":         "-rw-r--r-- package main",
		"app/bin/hook":        "-rwxr-xr-x #!/bin/sh",
		"app/sub/go.mod":      "-rw-r--r-- module sub",
		"app/.gitignore":      "-rw-r--r-- *.o",
		"app/sealed":          "drwxr-xr-x",
		"app/sealed/file":     "-rw------- sealed",
		"app/to-file":         "-> main.go",
		"app/absolute-inside": "-> sub",
		"app/to-lib":          "-> ../lib",
		"app/to-other-file":   "-rw-r--r-- other",
		"app/to-other-dir":    "-> " + at("other/dir"),
		"app/dangling":        "-> ../not/there",
		"lib/lib.go":          "-rw-r--r-- package lib",
	} {
		if got[name] != want {
			t.Errorf("%s is %q, want %q", name, got[name], want)
		}
		delete(got, name)
	}
	var rest []string
	for name := range got {
		rest = append(rest, name)
	}
	sort.Strings(rest)
	if want := []string{".", "app", "app/bin", "app/sub", "app/tmp", "lib"}; !reflect.DeepEqual(rest, want) {
		t.Errorf("the copy also has %v, want only the directories %v", rest, want)
	}
}

func TestCopyTreeOfALink(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "real", "sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if _, err := CopyTree(filepath.Join(dir, "copy"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	if !isDir(filepath.Join(dir, "copy", "sub")) {
		t.Error("what the link leads to was not copied")
	}
	if _, err := CopyTree(filepath.Join(dir, "copy2"), filepath.Join(dir, "real"), dir); err == nil {
		t.Error("no error for a subtree that is not one")
	}
}

func TestRemoveAll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a", "b", "file"), nil, 0o444); err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"a/b", "a"} {
		if err := os.Chmod(filepath.Join(dir, sub), 0o555); err != nil {
			t.Fatal(err)
		}
	}
	if err := RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if isDir(dir) {
		t.Error("it is still there")
	}
}
