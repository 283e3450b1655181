package main

import (
	"os"
	"os/exec"
	"testing"
	"time"
)

// What the command does, with little of everything.
func TestShort(t *testing.T) {
	for name, f := range map[string]*fleet{
		"fleet": {processes: 12, interval: 2 * time.Second, gone: 6 * time.Second},
		"dynos": {dynos: 500, interval: 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if err := f.run(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// Each alert fires for what misbehaves, and none for what does not.
func TestRules(t *testing.T) {
	cmd := exec.Command("go", "run", "-tags=remove_all_sd", "github.com/prometheus/prometheus/cmd/promtool@v0.316.0", "test", "rules", "rules_test.yaml")
	cmd.Env = append(os.Environ(), "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
