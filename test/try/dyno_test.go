//go:build linux

package main

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// notify is a writer that closes up when a line holds text.
type notify struct {
	bytes.Buffer
	text string
	up   chan struct{}
}

func (n *notify) Write(p []byte) (int, error) {
	n.Buffer.Write(p)
	if n.up != nil && strings.Contains(n.String(), n.text) {
		close(n.up)
		n.up = nil
	}
	return len(p), nil
}

func TestDynoEnds(t *testing.T) {
	for name, tt := range map[string]struct {
		command, out, how string
	}{
		"well":        {`echo "$0 got $# arguments: $*"; echo "$DYNO" >&2; printf 'no newline'`, "web.1 | web got 0 arguments: \nweb.1 | web.1\nweb.1 | no newline\n", "exited with status 0 after "},
		"with status": {"exit 3", "", "exited with status 3 after "},
		"by a signal": {"kill -9 $$", "", `was killed by the signal "killed" after `},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			d, err := startDyno(process{name: "web", command: tt.command}, t.TempDir(), nil, append(os.Environ(), "DYNO=web.1"), &log)
			if err != nil {
				t.Fatal(err)
			}
			<-d.done
			if log.String() != tt.out {
				t.Errorf("the output is %q, want %q", log.String(), tt.out)
			}
			if !strings.HasPrefix(d.how(), tt.how) {
				t.Errorf("it %s, want %s...", d.how(), tt.how)
			}
		})
	}
}

func TestDynoArguments(t *testing.T) {
	var log bytes.Buffer
	d, err := startDyno(process{name: "web", command: "A=b printf '<%s>\\n'"}, t.TempDir(), []string{"a b", "*", ""}, os.Environ(), &log)
	if err != nil {
		t.Fatal(err)
	}
	<-d.done
	if string(d.output) != "<a b>\n<*>\n<>\n" {
		t.Errorf("of the output %q is kept", d.output)
	}
	if want := "web.1 | <a b>\nweb.1 | <*>\nweb.1 | <>\n"; log.String() != want {
		t.Errorf("the output is %q, want %q", log.String(), want)
	}
}

// An app that does not heed SIGTERM is killed, with all that it has started.
func TestDynoLeavesNoOrphans(t *testing.T) {
	up := make(chan struct{})
	log := &notify{text: "up", up: up}
	d, err := startDyno(process{name: "web", command: `trap "" TERM; sleep 1000 & sleep 1000 & echo up; wait`}, t.TempDir(), nil, os.Environ(), log)
	if err != nil {
		t.Fatal(err)
	}
	<-up
	if err := syscall.Kill(-d.pid, 0); err != nil {
		t.Fatal("the process group is not there: ", err)
	}
	hurry := make(chan struct{})
	close(hurry)
	if !d.stop(time.Hour, hurry) {
		t.Error("it was not killed")
	}
	if !strings.HasPrefix(d.how(), `was killed by the signal "killed"`) {
		t.Errorf("it %s", d.how())
	}
	wantGone(t, d.pid)
}

// What an app that ends by itself has left behind is killed.
func TestDynoEndsWhole(t *testing.T) {
	var log bytes.Buffer
	d, err := startDyno(process{name: "web", command: "sleep 1000 & exit 0"}, t.TempDir(), nil, os.Environ(), &log)
	if err != nil {
		t.Fatal(err)
	}
	<-d.done
	if d.err != nil {
		t.Errorf("it %s", d.how())
	}
	wantGone(t, d.pid)
}

// An app that heeds SIGTERM is given the time to end by itself.
func TestDynoStopsGracefully(t *testing.T) {
	up := make(chan struct{})
	log := &notify{text: "up", up: up}
	d, err := startDyno(process{name: "web", command: `trap "echo bye; exit 7" TERM; echo up; while :; do sleep 0.01; done`}, t.TempDir(), nil, os.Environ(), log)
	if err != nil {
		t.Fatal(err)
	}
	<-up
	d.stop(time.Minute, nil)
	if !strings.HasPrefix(d.how(), "exited with status 7") || !strings.HasSuffix(log.String(), "web.1 | bye\n") {
		t.Errorf("it %s, with the output %q", d.how(), log.String())
	}
}

// wantGone waits until no process of the group runs. Those that lost their parent
// may stay zombies until init takes them.
func wantGone(t *testing.T, pgid int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
		states := strings.Trim(groupStates(t, pgid), "Z")
		if states == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("processes of the group still run, in states %s", states)
		}
	}
}

// groupStates returns a letter for each process of the group, from /proc.
func groupStates(t *testing.T, pgid int) string {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Skip("there is no /proc to look at: ", err)
	}
	states := ""
	for _, e := range entries {
		b, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		// PID (COMMAND) STATE PPID PGID ...
		rest := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(rest) > 2 && rest[2] == strconv.Itoa(pgid) {
			states += rest[0]
		}
	}
	return states
}
