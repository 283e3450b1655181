// Package example holds programs that report metrics.
package example

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
)

// Each example builds and reports. The advanced one delivers what is pending after SIGTERM,
// as Heroku sends it.
func TestExamples(t *testing.T) {
	for _, name := range []string{"basic", "logging", "advanced"} {
		name := name
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			exe := filepath.Join(t.TempDir(), name)
			build := exec.Command(filepath.Join(runtime.GOROOT(), "bin", "go"), "build", "-o", exe, "./"+name)
			build.Env = append(os.Environ(), "GOFLAGS=", "GOTOOLCHAIN=local")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			s, err := endpoint.Start(endpoint.Options{Fault: endpoint.Script(endpoint.Status(404))})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var out strings.Builder
			cmd := exec.Command(exe)
			cmd.Env = []string{"PORT=0", "HMETRICS_INTERVAL=1s", "HEROKU_METRICS_URL=" + s.URL("web.1")}
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			reports, err := s.Wait(ctx, 1)
			cmd.Process.Signal(syscall.SIGTERM)
			ended := cmd.Wait()
			if err != nil {
				t.Fatalf("%v: %s", err, out.String())
			}
			if last := len(s.Reports()) - len(reports); name == "advanced" && (ended != nil || last == 0) {
				t.Errorf("ended with %v and %d more reports", ended, last)
			}
			if logged := strings.Contains(out.String(), "404 Not Found"); logged == (name == "basic") {
				t.Errorf("logged %q", out.String())
			}
		})
	}
}
