package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/dsnet/try"
)

func TestDashboardIsGenerated(t *testing.T) {
	if !bytes.Equal(try.E1(os.ReadFile("../fleet/dashboard.json")), try.E1(generate())) {
		t.Error("test/fleet/dashboard.json is not what this program prints: GOWORK=off go run . >../fleet/dashboard.json")
	}
}

// The line in a chart marks the threshold of its alert.
func TestThresholdsAreAlerts(t *testing.T) {
	rules := string(try.E1(os.ReadFile("../fleet/rules.yaml")))
	alerts := 0
	for _, p := range panels {
		if p.alert == 0 {
			continue
		}
		alerts++
		if condition := fmt.Sprintf("%s > %v\n", p.promql, p.alert); !strings.Contains(rules, condition) {
			t.Errorf("test/fleet/rules.yaml has no alert for %s", condition)
		}
	}
	if all := strings.Count(rules, "alert: "); alerts != all-1 { // GoGoroutineLeak needs hours, not a threshold
		t.Errorf("%d panels have a threshold, and there are %d alerts", alerts, all)
	}
}

func TestRunbookHasEachAlert(t *testing.T) {
	rules, runbook := string(try.E1(os.ReadFile("../fleet/rules.yaml"))), string(try.E1(os.ReadFile("../fleet/README.md")))
	for _, m := range regexp.MustCompile(`(?s)alert: (\w+).*?README.md#(\w+)\n`).FindAllStringSubmatch(rules, -1) {
		if !strings.Contains(runbook, "\n### "+m[1]+"\n") || m[2] != strings.ToLower(m[1]) {
			t.Errorf("alert %s links to #%s", m[1], m[2])
		}
	}
}
