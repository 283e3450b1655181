package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dsnet/try"
)

var update = flag.Bool("update", false, "store what TestLimits reads in limits.txt, and show in the README what readings.jsonl holds")

// TestLimits counts what a change of the buildpack can make dearer and what does not
// depend on how fast or busy a machine is.
func TestLimits(t *testing.T) {
	text := string(try.E1(os.ReadFile("limits.txt")))
	release := "\nrelease " + strings.Join(strings.SplitN(runtime.Version(), ".", 3)[:2], ".") + "\n"
	w := openWorkspace(t.Context(), t.TempDir())
	defer w.close()
	w.environ = append(w.environ, "CGO_ENABLED=0") // whatever C compiler there is
	for _, group := range []struct {
		name  string
		slow  bool // builds the standard library, and other releases of Go do not repeat it
		count func(ctx context.Context, t *testing.T, w *workspace) map[string]float64
	}{
		{"instructions", false, countInstructions},
		{"bytes", true, countBytes},
		{"allocations", true, countAllocations},
	} {
		t.Run(group.name, func(t *testing.T) {
			if group.slow && os.Getenv("HMETRICS_TEST_SLOW") != "1" {
				t.Skip("HMETRICS_TEST_SLOW is not 1")
			}
			if group.slow && !*update && !strings.Contains(text, release) {
				t.Skip("limits.txt is of another release of Go")
			}
			for name, got := range group.count(t.Context(), t, w) {
				name = group.name + "." + name
				line := regexp.MustCompile(`(?m)^` + name + ` +(\d+) +(\d+)%`)
				m := line.FindStringSubmatch(text)
				if m == nil {
					t.Fatalf("limits.txt has no %s", name)
				}
				stored, percent := try.E1(strconv.ParseFloat(m[1], 64)), try.E1(strconv.ParseFloat(m[2], 64))
				highest := math.Floor(stored * (1 + percent/100))
				t.Logf("%s is %.0f, was %.0f, and the limit is %.0f", name, got, stored, highest)
				if *update {
					text = line.ReplaceAllString(text, fmt.Sprintf("%-22s%11.0f%7s%%", name, got, m[2]))
				} else if got > highest {
					t.Errorf("%s is above its limit. Find what made it dearer. If that is worth it: "+
						"HMETRICS_TEST_SLOW=1 go test ./test/bench -run TestLimits/%s -update", name, group.name)
				}
			}
		})
	}
	if *update {
		try.E(os.WriteFile("limits.txt", []byte(regexp.MustCompile(`\nrelease .*\n`).ReplaceAllString(text, release)), 0o666))
	}
}

// countInstructions counts what the shell executes in bin/toolexec until it execs the
// tool, more than for a script that does nothing else. The tool is not there, because
// valgrind cannot tell of a process that has become another.
func countInstructions(_ context.Context, t *testing.T, w *workspace) map[string]float64 {
	if _, err := exec.LookPath("valgrind"); err != nil {
		t.Skip("valgrind is not installed: apt-get install valgrind")
	}
	// The shell looks through all arguments and GOFLAGS character by character, so paths
	// are as long everywhere, about as on a platform.
	long := func(name string) string { return strings.Repeat("./", (90-len(name))/2) + name }
	step := strings.Fields(long("not-there/compile") + " -o $WORK/b001/_pkg_.a -trimpath $WORK/b001=> -p example.com/app/internal/p000" +
		" -lang=go1.24 -complete -buildid aaaaaaaaaaaaaaaaaaaa/aaaaaaaaaaaaaaaaaaaa -goversion go1.26.8 -c=2 -shared=false" +
		" -nolocalimports -importcfg $WORK/b001/importcfg -pack ./a.go ./b.go")
	count := func(goflags string, script ...string) float64 {
		args := append([]string{"--tool=callgrind", "--callgrind-out-file=" + os.DevNull, "/bin/sh"}, script...)
		cmd := exec.Command("valgrind", append(args, step...)...)
		cmd.Dir = w.buildpack
		cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "HMETRICS_STAGE=" + long("stage"), "HMETRICS_INJECT=auto",
			"TOOLEXEC_IMPORTPATH=example.com/app/internal/p000", "GOFLAGS=" + goflags}
		out, _ := cmd.CombinedOutput() // which fails, because there is no tool
		m := regexp.MustCompile(`Collected : (\d+)`).FindSubmatch(out)
		if m == nil || !strings.Contains(string(out), "not found") {
			t.Fatalf("valgrind does not tell how many instructions it saw:\n%s", out)
		}
		return try.E1(strconv.ParseFloat(string(m[1]), 64))
	}
	more := func(goflags string) float64 {
		return count(goflags, long("bin/toolexec")) - count(goflags, "-c", `exec "$@"`, "sh")
	}
	ours := "-toolexec=" + long("bin/toolexec")
	return map[string]float64{"step": more(ours), "chain": more("-toolexec=" + long("not-there/wrapper") + " " + ours)}
}

func countBytes(ctx context.Context, _ *testing.T, w *workspace) map[string]float64 {
	return map[string]float64{"worker": w.growth(ctx, workerApp, buildpack), "web": w.growth(ctx, serveApp, buildpack)}
}

// countAllocations counts the objects that a report costs, and an export by OTLP.
func countAllocations(ctx context.Context, t *testing.T, w *workspace) map[string]float64 {
	seen := map[string]float64{}
	file := w.binary(ctx, serveApp, buildpack)
	for name, otlp := range map[string]bool{"report": false, "export": true} {
		d := startDyno(ctx, file, otlp, time.Second)
		defer d.stop()
		const reports = 8
		var objects [4]float64
		// The first report connects, the first answer fills caches, and asking allocates
		// too: two answers with no report between them tell how much.
		for i, n := range []int{1, 2, 2, 2 + reports} {
			objects[i] = d.after(ctx, n, (*dyno).allocated)
		}
		asking := objects[2] - objects[1]
		seen[name] = math.Round((objects[3] - objects[2] - asking) / reports)
	}
	return seen
}
