package gocmd

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// The go command runs the test program itself, if not always directly.
func TestFindParentInRealProc(t *testing.T) {
	for first, pid := range []int{os.Getppid(), os.Getpid()} {
		parent, err := FindParent("/proc", pid, "no import path", "")
		if err != nil || parent.Dir == "" || len(parent.Args) == 0 {
			t.Fatalf("%d: %+v, %v", first, parent, err)
		}
	}
}

// writeProc creates a /proc that contains process pid.
func writeProc(t *testing.T, proc string, pid, ppid int, importPath string, args ...string) {
	t.Helper()
	dir := filepath.Join(proc, strconv.Itoa(pid))
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	environ := "HOME=/\x00"
	if importPath != "" {
		environ += "TOOLEXEC_IMPORTPATH=" + importPath + "\x00"
	}
	for name, data := range map[string]string{
		"environ": environ,
		"stat":    fmt.Sprintf("%d (a) S (b) S %d 0 0\n", pid, ppid),
		"cmdline": strings.Join(args, "\x00") + "\x00",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/app", filepath.Join(dir, "cwd")); err != nil {
		t.Fatal(err)
	}
}

// The go command's file may have any name, and the user's own -toolexec may run between it and
// the step.
func TestFindParent(t *testing.T) {
	proc := t.TempDir()
	writeProc(t, proc, 10, 1, "", "sh", "bin/go", "build")
	writeProc(t, proc, 20, 10, "", "go.real", "build", "-ldflags", "-s -w", ".")
	writeProc(t, proc, 30, 20, "example.com/web", "strace", "toolexec")
	writeProc(t, proc, 40, 30, "example.com/web", "sh", "toolexec")
	writeProc(t, proc, 50, 1, "example.com/web", "sh", "toolexec")
	want := Parent{Args: []string{"go.real", "build", "-ldflags", "-s -w", "."}, Dir: "/app"}
	for _, pid := range []int{20, 30, 40} {
		if got, err := FindParent(proc, pid, "example.com/web", ""); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("from process %d: %+v, %v, want %+v", pid, got, err, want)
		}
	}
	for pid, want := range map[int]string{50: "no go command started this step", 60: "reading the go command's flags"} {
		if _, err := FindParent(proc, pid, "example.com/web", ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("from process %d: error %v, want %q", pid, err, want)
		}
	}
}

// qemu-user and Rosetta run the go command of another architecture: /proc shows them.
func TestWithoutInterpreter(t *testing.T) {
	dir := t.TempDir()
	names := map[string]string{}
	for _, name := range []string{"go", "qemu", "gcc"} {
		names[name] = filepath.Join(dir, name)
		if err := os.WriteFile(names[name], nil, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(names["go"], link); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ exe, args, want string }{
		{"go", "go run . " + names["go"], "go run . " + names["go"]},
		{"qemu", names["qemu"] + " -cpu max " + names["go"] + " run . -race", names["go"] + " run . -race"},
		{"qemu", names["qemu"] + " " + link + " build", link + " build"},
		{"qemu", names["qemu"] + " " + names["go"] + " go build", "go build"},
		{"gcc", "go build", "go build"},
	} {
		got := strings.Join(withoutInterpreter(strings.Fields(test.args), names[test.exe], names["go"]), " ")
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.args, got, test.want)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("go", 7, "0 0")
	f.Add("a) b (c) S 1 ", -1, "")
	f.Fuzz(func(t *testing.T, comm string, parent int, rest string) {
		parseStat(comm + rest)
		stat := fmt.Sprintf("42 (%s) S %d 1234 5 6\n", comm, parent)
		if got := parseStat(stat); got != parent {
			t.Errorf("%q: parent %d", stat, got)
		}
	})
}
