//go:build linux

package main

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The command passes its arguments on, and its first line needs little to be compiled.
func TestStart(t *testing.T) {
	cmd := exec.Command("go", "run", ".", "-h")
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "try: compiling this command") || !strings.Contains(string(out), "-for duration") {
		t.Errorf("%v\n%s", err, out)
	}
	cmd = exec.Command("go", "list", "-deps", ".")
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false")
	if out, err := cmd.Output(); err != nil || strings.Contains(string(out), "\nnet\n") {
		t.Errorf("%v: net and what it imports take half a minute\n%s", err, out)
	}
}
