//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
)

// A copy that is made inside the app, in a directory for temporary files, has an end.
func TestCopyInside(t *testing.T) {
	s := &session{app: t.TempDir()}
	s.built = filepath.Join(s.app, "tmp", "try_1", "app")
	must(t, os.MkdirAll(filepath.Dir(s.built), 0o777))
	must(t, s.copyApp())
	if list, err := os.ReadDir(filepath.Join(s.built, "tmp")); err != nil || len(list) > 0 {
		t.Errorf("the copy has %v, %v", list, err)
	}
}

func TestFindProcesses(t *testing.T) {
	const none = ", which is none of the app's Go programs, bin/web, bin/tool: it is not started here, and reports nothing\n"
	for _, tt := range []struct{ procfile, only, want string }{
		{"# what runs\nweb: GOGC=50 ./bin/web -port $PORT\nworker:tool  --work\n", "",
			"web(web): GOGC=50 ./bin/web -port $PORT\nworker(tool): tool  --work\n"},
		{"a: bin/web\nworker: bin/web work\n", "web", "a(web): bin/web\n"},
		{"release: bin/tool migrate\nweb: bin/web\n", "tool",
			"Procfile: release is not run here; on Heroku it runs before each new release starts: bin/tool migrate\ntool(tool): bin/tool\n"},
		{"a: bin/web\n", "nobody", "the app has no process \"nobody\"; it has a, tool"},
		{"web: node web\nassets: 'other/web'\nx: ''\n", "", "Procfile: web runs node" + none + "Procfile: assets runs other/web" + none +
			"Procfile: x runs " + none + "web(web): bin/web\ntool(tool): bin/tool\n"},
		{"web bin/web\nworker: A=b exec ./bin/wroker\n\n", "tool",
			"Procfile: line 1 is not NAME: COMMAND, so Heroku ignores it: web bin/web\nProcfile: worker runs ./bin/wroker" + none + "tool(tool): bin/tool\n"},
	} {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "Procfile"), []byte(tt.procfile), 0o666))
		var out bytes.Buffer
		s := &session{process: tt.only, stderr: &out, built: dir}
		list, err := s.findProcesses([]string{"web", "tool"})
		for _, p := range list {
			fmt.Fprintf(&out, "%s(%s): %s\n", p.name, p.binary, p.command)
		}
		if err != nil {
			fmt.Fprint(&out, err)
		}
		if got := strings.ReplaceAll(out.String(), "try: warning: ", ""); got != tt.want {
			t.Errorf("%q: got\n%s\nwant\n%s", tt.procfile, got, tt.want)
		}
	}
}

// The header of the table comes again, columns are wide enough for what is large, and
// a process that drops what it could not deliver is found out.
func TestTable(t *testing.T) {
	var out bytes.Buffer
	p := &process{name: "long-name"}
	s := &session{stdout: &out, start: time.Now(), width: len(p.name), processes: []*process{p}}
	r := endpoint.Report{
		Process: p.name, HeapBytes: 999 << 30, StackBytes: 425984, HeapObjects: 999999999, GCGoal: 4 << 20, Collections: 3, PauseNS: 999e9, Goroutines: 7,
	}
	for i := range 21 {
		r.Received = s.start.Add(time.Duration(i) * 62 * time.Second)
		s.attempt(endpoint.Attempt{Report: r})
		s.report(r)
	}
	s.attempt(endpoint.Attempt{Report: r})
	r.Collections, r.Body = 1, []byte("another document")
	s.attempt(endpoint.Attempt{Report: r})
	s.report(r)
	const header = "    time  process          heap       stack      objects        goal     GCs     pause  goroutines\n"
	const row = "  long-name   999.0 GiB   416.0 KiB  999,999,999     4.0 MiB       3    16m39s           7\n"
	got := out.String()
	for _, want := range []string{
		header + "    0.0s" + row + "    1m2s" + row,
		header + "  20m40s" + row + "    0.0s  long-name  outage: reports are not accepted\n",
		"  long-name  outage: over after 0.0s; 1 collection and 16m39s were delivered, 2 collections and 0s are lost\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwithout\n%s", got, want)
		}
	}
}
