package page

import (
	"fmt"
	"testing"

	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
)

// Charts of exports show what was added since the export before, and nothing where
// there is nothing.
func TestExportValues(t *testing.T) {
	export := func(instance string, fast, slow uint64, user, gc, idle, limit float64) endpoint.Export {
		e := endpoint.Export{
			Resource: map[string]string{"service.instance.id": instance},
			Values: map[string]float64{
				"go.processor.limit": 4, "go.memory.used{stack}": 10, "go.memory.used{other}": 90,
				"go.cpu.time{user}": user, "go.cpu.time{gc}": gc, "go.cpu.time{scavenge}": 0, "go.cpu.time{idle}": idle,
			},
			Histograms: map[string]endpoint.Histogram{
				"go.schedule.duration": {Count: fast + 100 + slow, Bounds: []float64{1e-6, 4e-6}, Counts: []uint64{fast, 100, slow}},
			},
		}
		if limit > 0 {
			e.Values["go.memory.limit"] = limit
		}
		return e
	}
	first := export("a", 0, 0, 1, 1, 6, 0)
	for name, tt := range map[string]struct {
		e, before endpoint.Export
		want      string
	}{
		"the first":             {first, endpoint.Export{}, "[2500 3970 0.5 0.5 0 4 100 -1]"},
		"later":                 {export("a", 100, 2, 3, 2, 7, 200), first, "[510 4000 2 1 0 4 100 200]"},
		"nothing was added":     {first, first, "[-1 -1 -1 -1 -1 4 100 -1]"},
		"started again":         {export("b", 0, 0, 1, 1, 6, 0), first, "[2500 3970 0.5 0.5 0 4 100 -1]"},
		"more than the charts":  {export("a", 0, 0, 1, 1, 6, 1e300), first, "[-1 -1 -1 -1 -1 4 100 1e+15]"},
		"a program of other Go": {endpoint.Export{Values: map[string]float64{"go.memory.used{other}": 5}}, endpoint.Export{}, "[-1 -1 -1 -1 -1 -1 5 -1]"},
	} {
		if got := fmt.Sprint(bounded(exportValues(tt.e, tt.before))); got != tt.want {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
