//go:build go1.21

package start

import (
	"context"
	"runtime/debug"
	"testing"
	"time"
)

// The limit holds in the program, and is exported as go.memory.limit.
func TestTheMemoryLimitIsSetAndSent(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := run(t, programs.with, "HMETRICS_MEMORY_LIMIT=400MiB", "OTEL_EXPORTER_OTLP_ENDPOINT="+s.URL("web.1"), "OTEL_METRIC_EXPORT_INTERVAL=1000")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	exports, err := s.WaitExports(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	if limit := exports[0].Values["go.memory.limit"]; limit != 400<<20 {
		t.Errorf("the limit is %v", limit)
	}
	p.end()
}

// Without the setting, nothing is read for a limit, which would allocate.
func TestNoMemoryLimitIsAskedFor(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	t.Setenv("GOMEMLIMIT", "off") // it wins
	for setting, free := range map[string]bool{"": true, "90%": false} {
		t.Setenv("HMETRICS_MEMORY_LIMIT", setting)
		if n := testing.AllocsPerRun(100, limitMemory); (n == 0) != free {
			t.Errorf("%q: %v allocations", setting, n)
		}
	}
}
