//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInspect(t *testing.T) {
	for _, tt := range []struct {
		content string
		agent   bool
		own     string
	}{
		{"\x00main.main\x00", false, ""},
		{"\x00main.main\x00hmetrics.injected/agent.Report\x00", true, ""},
		{"github.com/heroku/x/hmetrics.Report\x00hmetrics.injected/agent.Report", false, "github.com/heroku/x/hmetrics, every 20s"},
		{"go.pennock.tech/hmetrics.Spawn", false, "go.pennock.tech/hmetrics"},
		{"github.com/hmetrics/heroku-buildpack-go-metrics/agent.Report", false, "github.com/hmetrics/heroku-buildpack-go-metrics/agent"},
	} {
		file := filepath.Join(t.TempDir(), "binary")
		if err := os.WriteFile(file, []byte(tt.content), 0o777); err != nil {
			t.Fatal(err)
		}
		agent, own, err := inspect(file)
		if err != nil || agent != tt.agent || own != tt.own {
			t.Errorf("inspect of %q = %t, %q, %v, want %t, %q", tt.content, agent, own, err, tt.agent, tt.own)
		}
	}
}

func TestInspectAll(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{"api": "", "clock": agentMark, "tool": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	list := []process{{name: "web", binary: "api"}, {name: "admin", binary: "api"}, {name: "tool", binary: "tool"}, {name: "clock", binary: "clock"}}
	if err := inspectAll(dir, list); err != nil || list[0].agent || !list[3].agent {
		t.Errorf("got %+v, %v; want the agent in clock alone", list, err)
	}
	err := inspectAll(dir, list[:3])
	if err == nil || !strings.Contains(err.Error(), "the agent is not in bin/api, bin/tool;") {
		t.Errorf("got the error %v, want one that names each binary once", err)
	}
	if err := inspectAll(dir, []process{{binary: "missing"}}); err == nil {
		t.Error("no error for a binary that is not there")
	}
}
