package main

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestRecord(t *testing.T) {
	st := stage{t.TempDir()}
	g := goCommand{pid: os.Getpid(), start: "1", space: "4026531836"}
	if _, err := st.decision(g); err == nil {
		t.Error("a decision before one was recorded")
	}
	// One of a process that is no more, and one of another PID namespace, in
	// which it may well be.
	ended, foreign := g, g
	ended.start = "2"
	foreign.space = "1"
	for _, other := range []goCommand{ended, foreign} {
		if err := st.record(other, decision{}); err != nil {
			t.Fatal(err)
		}
	}
	want := decision{Linked: true, ID: "compile version go1.99", Flags: buildFlags{Archive: []string{"-race=true"}}, Env: []string{"CC=a b"}}
	if err := st.record(g, want); err != nil {
		t.Fatal(err)
	}
	if got, err := st.decision(g); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("decision %+v, %v, want %+v", got, err, want)
	}
	for other, kept := range map[string]bool{ended.name(): false, foreign.name(): true} {
		if exists(filepath.Join(st.path("runs"), other)) != kept {
			t.Errorf("record %s kept: %v, want %v", other, !kept, kept)
		}
	}
}

// A step without a record must not pass in silence: -V=full may have promised
// the agent.
func TestDecisionWithoutARecord(t *testing.T) {
	s := step{stage: stage{t.TempDir()}, parent: goCommand{pid: 1, start: "1", space: "1"}}
	_, err := s.decision()
	if _, ok := err.(notMeant); ok || err == nil {
		t.Errorf("error %v, want a reason to tell", err)
	}
}

// If the compiler's tool ID could not promise the agent, the linker's must not
// open the door to it again.
func TestPreflightForLinkDecidesNothing(t *testing.T) {
	st := stage{t.TempDir()}
	g := goCommand{pid: os.Getpid(), start: "1", space: "1"}
	_, err := preflight(st, g, toolchain{compiler: "/go/pkg/tool/linux_amd64/link"}, "/toolexec", nil)
	if _, ok := err.(notMeant); !ok {
		t.Errorf("without a record: %v, want notMeant", err)
	}
	if _, err := st.decision(g); err == nil {
		t.Error("the preflight for link recorded a decision")
	}
	for _, linked := range []bool{true, false} {
		if err := st.record(g, decision{Linked: linked}); err != nil {
			t.Fatal(err)
		}
		if _, err := preflight(st, g, toolchain{compiler: "/go/pkg/tool/linux_amd64/link"}, "/toolexec", nil); (err == nil) != linked {
			t.Errorf("recorded as linked: %v: %v", linked, err)
		}
	}
}
