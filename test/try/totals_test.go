package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/page"
)

// buildTotals builds a program in testdata/totals.txtar and returns its path.
func buildTotals(t *testing.T, name, toolchain string, flags ...string) string {
	t.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "totals.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	dir := writeFiles(t, string(txtar.Format(archive)))
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(dir, "bin", name)
	cmd := exec.Command("go", append(append([]string{"build", "-o", binary}, flags...), "./"+name)...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOTOOLCHAIN="+toolchain, "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// What is read from a process's memory is what the process itself reads.
func TestGCMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	type build struct {
		name, toolchain string
		flags           []string
	}
	builds := []build{{"plain", "local", nil}, {"position-independent", "local", []string{"-buildmode=pie"}}}
	if os.Getenv("HMETRICS_TEST_TOOLCHAINS") != "" {
		for _, release := range []string{"go1.18.10", "go1.21.13", "go1.24.0"} {
			builds = append(builds, build{release, release, nil})
		}
	}
	for _, b := range builds {
		t.Run(b.name, func(t *testing.T) {
			cmd := exec.Command(buildTotals(t, "counts", b.toolchain, b.flags...))
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Wait()
			defer in.Close()
			lines := bufio.NewScanner(out)
			var m *gcMemory
			for i := 1; i <= 3; i++ {
				fmt.Fprintln(in)
				if !lines.Scan() {
					t.Fatal("the program has ended")
				}
				if m == nil {
					if m, err = openGCMemory(cmd.Process.Pid); err != nil {
						t.Fatal(err)
					}
					defer m.close()
				}
				c, err := m.read()
				if err != nil {
					t.Fatal(err)
				}
				if got := fmt.Sprintf("%.0f %.0f", c.Collections, c.PauseNS); got != lines.Text() || !strings.HasPrefix(got, fmt.Sprint(i, " ")) {
					t.Errorf("its memory has %s, and the program says %s", got, lines.Text())
				}
			}
			in.Close()
			cmd.Wait()
			if _, err := m.read(); err == nil {
				t.Error("the counters of a process that has ended can be read")
			}
		})
	}
	t.Run("stripped", func(t *testing.T) {
		cmd := exec.Command(buildTotals(t, "counts", "local", "-ldflags=-s -w"))
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		defer cmd.Wait()
		defer in.Close()
		if _, err := openGCMemory(cmd.Process.Pid); err == nil || !strings.Contains(err.Error(), "debugging information") {
			t.Errorf("got %v", err)
		}
	})
}

// A reporter that drops what it cannot deliver does not pass.
func TestLossIsFoundOut(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	binary := buildTotals(t, "lossy", "local")
	for name, known := range map[string]bool{"totals known": true, "totals unknown": false} {
		t.Run(name, func(t *testing.T) {
			faults := &endpoint.Switch{}
			server, err := endpoint.Start(endpoint.Options{Fault: faults.Fault})
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			var mu sync.Mutex
			totals := newTotals(t.Errorf)
			defer totals.close()
			o := page.Options{Server: server, Switch: faults}
			if known {
				o.Totals = totals.of
			}
			p, err := page.Start(o)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			heard := make(chan struct{}, 1000)
			server.OnAttempt(func(endpoint.Attempt) { heard <- struct{}{} })
			d, err := startDyno(process{name: "web", command: binary}, t.TempDir(), nil, append(os.Environ(), "HEROKU_METRICS_URL="+server.URL("web")), lockedWriter{&mu, io.Discard})
			if err != nil {
				t.Fatal(err)
			}
			defer d.stop(0)
			totals.watch("web", d.pid, binary)
			look := func() string {
				resp, err := http.Get(p.URL())
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				if err != nil {
					t.Fatal(err)
				}
				_, proof, _ := strings.Cut(string(b), `id="p0-proof"`)
				proof, _, _ = strings.Cut(proof, `<div class="figures">`)
				return proof
			}
			attempts := func(n int) {
				for i := 0; i < n; i++ {
					select {
					case <-heard:
					case <-time.After(10 * time.Second):
						t.Fatal("nothing is reported")
					}
				}
			}
			attempts(5)
			if proof := look(); strings.Count(proof, "nothing lost") != 2 || strings.Contains(proof, "true total") != known {
				t.Fatalf("while all is delivered the page says %s", proof)
			}
			faults.Set(endpoint.Status(503))
			attempts(12)
			faults.Set(endpoint.Fault{})
			attempts(2)
			if proof := look(); !strings.Contains(proof, " lost</span>") || strings.Count(proof, "≠") == 0 {
				t.Fatalf("while reports are lost the page says %s", proof)
			}
		})
	}
}
