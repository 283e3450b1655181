package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The hook that imports the agent is derived from the other one, so both have the same
// declarations.
func TestAgentHookDerivesFromTheHook(t *testing.T) {
	source, err := os.ReadFile("hook/hook.go.txt")
	if err != nil || strings.Count(string(source), noStart) != 1 {
		t.Fatalf("the hook lacks %q: %v\n%s", noStart, err, source)
	}
}

func TestObjectFile(t *testing.T) {
	archive, _ := compileFmt(t)
	data, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	o, err := objectFile(data)
	if err != nil || o.shared() {
		t.Fatalf("%v, shared %v", err, o.shared())
	}
	archive, _ = compileFmt(t, "-buildmode=pie")
	if data, err = os.ReadFile(archive); err != nil {
		t.Fatal(err)
	}
	if o, err = objectFile(data); err != nil || !o.shared() {
		t.Fatalf("of a program for any address: %v, shared %v", err, o.shared())
	}
}

// A future Go may have another form of object files. Whatever it is, the program is then linked
// without the agent.
func FuzzObjectFile(f *testing.F) {
	f.Add([]byte("!<arch>\n_go_.o          0           0     0     644     60        `\ngo object linux amd64\n!\n\x00go120ld0123456701234567890"))
	f.Fuzz(func(t *testing.T, archive []byte) {
		if o, err := objectFile(archive); err == nil {
			o.shared()
			copy(o.fingerprint(), "01234567")
		}
	})
}

func TestAgentHookReadsNoOtherForm(t *testing.T) {
	hook := filepath.Join(t.TempDir(), "hook.a")
	if err := os.WriteFile(hook, []byte("!<arch>\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := (step{}).agentHook(hook, "start.a"); err == nil || !strings.Contains(err.Error(), "this Go release may be newer than this buildpack") {
		t.Errorf("error %v", err)
	}
}
