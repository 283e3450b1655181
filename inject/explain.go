package main

import (
	"fmt"
	"os"
)

// explain adds a line to the file that HMETRICS_DEBUG names: what was decided for
// a step of the go command pid, and why. bin/toolexec writes the lines of the
// steps that never get here.
func explain(env []string, pid int, what string, err error) {
	name := getenv(env, "HMETRICS_DEBUG")
	if name == "" {
		return
	}
	decision := "linked"
	if err != nil {
		decision = "not linked: " + err.Error()
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o666)
	if err != nil {
		return
	}
	fmt.Fprintf(f, "%d %s: %s\n", pid, what, decision)
	f.Close()
}
