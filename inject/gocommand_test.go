package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

// The test binary is itself run by the go command, if not always directly.
func TestFindGoCommandInRealProc(t *testing.T) {
	g, err := findGoCommand("/proc", os.Getpid())
	if err != nil {
		t.Skip("not run by go test:", err)
	}
	if len(g.args) < 2 || g.args[1] != "test" && g.args[1] != "run" {
		t.Errorf("command line %q", g.args)
	}
	if again, err := findGoCommand("/proc", os.Getppid()); err != nil || !reflect.DeepEqual(again, g) {
		t.Errorf("from the parent: %+v, %v, want %+v", again, err, g)
	}
}

// writeProc makes a /proc with the process pid in it.
func writeProc(t *testing.T, proc string, pid, ppid int, exe, comm string, args ...string) {
	dir := filepath.Join(proc, strconv.Itoa(pid))
	if err := os.MkdirAll(filepath.Join(dir, "ns"), 0o777); err != nil {
		t.Fatal(err)
	}
	stat := strconv.Itoa(pid) + " (" + comm + ") S " + strconv.Itoa(ppid) + strings.Repeat(" 0", 17) + " 4711 0 0\n"
	for name, data := range map[string]string{"stat": stat, "cmdline": strings.Join(args, "\x00") + "\x00"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{"exe": exe, "cwd": "/app", "ns/pid": "pid:[4026531836]"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFindGoCommandAboveAWrapper(t *testing.T) {
	proc := t.TempDir()
	writeProc(t, proc, 10, 1, "/usr/bin/bash", "bash", "bash")
	writeProc(t, proc, 20, 10, "/usr/local/go/bin/go", "go", "go", "build", "-ldflags", "-s -w", ".")
	writeProc(t, proc, 30, 20, "/usr/bin/strace", "a) S (b", "strace")
	g, err := findGoCommand(proc, 30)
	if err != nil {
		t.Fatal(err)
	}
	want := goCommand{pid: 20, start: "4711", space: "4026531836", args: []string{"go", "build", "-ldflags", "-s -w", "."}, dir: "/app"}
	if !reflect.DeepEqual(g, want) {
		t.Errorf("%+v, want %+v", g, want)
	}
	if g, err := findGoCommand(proc, 10); err == nil {
		t.Errorf("found %+v above a shell", g)
	}
}

func TestFindGoCommandWithoutProc(t *testing.T) {
	_, err := findGoCommand(t.TempDir(), 30)
	if err == nil || !strings.Contains(err.Error(), "reading the go command's flags") {
		t.Errorf("error %v does not say what was being done", err)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("go", 7, "0 0")
	f.Add("a) b (c) S 1 ", -1, "")
	f.Fuzz(func(t *testing.T, comm string, parent int, rest string) {
		parseStat(comm + rest)
		stat := fmt.Sprintf("42 (%s) S %d%s 1234 5 6\n", comm, parent, strings.Repeat(" 0", 17))
		gotParent, start, ok := parseStat(stat)
		if !ok || gotParent != parent || start != "1234" {
			t.Errorf("%q: parent %d, start %s, %v", stat, gotParent, start, ok)
		}
	})
}
