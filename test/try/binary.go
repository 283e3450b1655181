//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// agentMark is in every binary that the buildpack has linked its agent into:
// the start of the import paths of that copy of the agent.
const agentMark = "hmetrics.injected/agent"

// ownReporters are the functions by which an app may report by itself, so that
// the buildpack's agent stays off.
var ownReporters = [...]struct{ function, name string }{
	{"github.com/heroku/x/hmetrics.Report", "github.com/heroku/x/hmetrics, every 20s"},
	{"go.pennock.tech/hmetrics.", "go.pennock.tech/hmetrics"},
	{"github.com/hmetrics/heroku-buildpack-go-metrics/agent.Report", "github.com/hmetrics/heroku-buildpack-go-metrics/agent"},
}

// inspect says what will report in a binary: the buildpack's agent, or what the
// app itself reports by, or neither. A binary has the names of its functions even
// without a symbol table.
func inspect(file string) (agent bool, own string, err error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return false, "", err
	}
	for _, r := range ownReporters {
		if bytes.Contains(b, []byte(r.function)) {
			return false, r.name, nil
		}
	}
	return bytes.Contains(b, []byte(agentMark)), "", nil
}

// inspectAll inspects the binaries of the processes, which are in dir. That
// nothing in any of them will report is an error.
func inspectAll(dir string, processes []process) error {
	reporters := 0
	var names []string
	for i := range processes {
		p := &processes[i]
		var err error
		if p.agent, p.own, err = inspect(filepath.Join(dir, p.binary)); err != nil {
			return err
		}
		if p.agent || p.own != "" {
			reporters++
		}
		if name := "bin/" + p.binary; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if reporters == 0 {
		return fmt.Errorf("the buildpack stepped aside, so nothing would report: the agent is not in %s; the log of the build says why", strings.Join(names, ", "))
	}
	return nil
}
