//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// inspect notes what will report in each process, whose binaries are in dir: the
// buildpack's agent, or what the app itself reports by. That there is neither in
// any of them is an error. It asks inject verify.
func (t *trial) inspect(ctx context.Context, dir string, processes []process) error {
	args := []string{"run", "./inject", "verify", "-json"}
	var names []string
	for _, p := range processes {
		args = append(args, filepath.Join(dir, p.binary))
		if name := "bin/" + p.binary; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = t.buildpack
	cmd.Env = slices.Concat(t.environ, []string{"PWD=" + t.buildpack, "GOFLAGS=-buildvcs=false", "GOWORK=off", "GO111MODULE=", "GOOS=", "GOARCH="})
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output() // it fails, too, where a program does not report
	var verdicts []struct {
		Reports       bool
		Off, Reporter string
	}
	if json.Unmarshal(out, &verdicts) != nil || len(verdicts) != len(processes) {
		return stopped(ctx, fmt.Errorf("asking inject verify of the programs: %w\n%s", err, &stderr))
	}
	reporters := 0
	for i, v := range verdicts {
		p := &processes[i]
		p.agent, p.own = v.Reports, v.Off+v.Reporter // at most one of the two
		if p.agent || p.own != "" {
			reporters++
		}
	}
	if reporters == 0 {
		return fmt.Errorf("nothing would report: the agent is not in %s; the log of the build says why", strings.Join(names, ", "))
	}
	return nil
}
