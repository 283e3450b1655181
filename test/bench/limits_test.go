package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "store what TestLimits reads in limits.txt, and show in the README what readings.jsonl holds")

// A limit is a line of limits.txt: GROUP.NAME, * if it is of one Go release, the reading
// that is stored, and by how much what is counted may be more.
var limitLine = regexp.MustCompile(`(?m)^(([a-z]+)\.[a-z]+)(\*?)( +\d+) +(\d+)%  `)

func highest(reading, percent float64) float64 { return math.Floor(reading * (1 + percent/100)) }

// What counts each group of limits, by their names. It skips the test if it cannot count
// on this machine.
var counts = map[string]func(ctx context.Context, t *testing.T, w *workspace) map[string]float64{
	"instructions": countInstructions, "processes": countProcesses, "bytes": countBytes, "allocations": countAllocations,
}

// TestLimits counts what a change of the buildpack can make dearer and what does not
// depend on how fast or busy a machine is.
func TestLimits(t *testing.T) {
	text := string(must(os.ReadFile("limits.txt")))
	here := "\nrelease " + strings.Join(strings.SplitN(runtime.Version(), ".", 3)[:2], ".") + "\n"
	w := openWorkspace(t.Context(), t.TempDir(), "", t.Logf)
	defer w.close()
	w.environ = append(w.environ, "CGO_ENABLED=0") // whatever C compiler there is
	if all, n := limitLine.FindAllStringSubmatch(text, -1), strings.Count(text, "%  "); len(all) != n || slices.ContainsFunc(all, func(m []string) bool { return counts[m[2]] == nil }) {
		t.Errorf("of %d limits not all are counted: %q", n, all)
	}
	for group, count := range counts {
		t.Run(group, func(t *testing.T) {
			if group != "instructions" && os.Getenv("HMETRICS_TEST_SLOW") != "1" {
				t.Skip("HMETRICS_TEST_SLOW is not 1: this builds the standard library a few times")
			}
			w.say = t.Logf
			seen := count(t.Context(), t, w)
			text = limitLine.ReplaceAllStringFunc(text, func(line string) string {
				m := limitLine.FindStringSubmatch(line)
				got, ok := seen[strings.TrimPrefix(m[1], group+".")]
				if m[2] != group {
					return line
				}
				reading, percent := must(strconv.ParseFloat(strings.TrimSpace(m[4]), 64)), must(strconv.ParseFloat(m[5], 64))
				t.Logf("%s is %.0f, was %.0f, and the limit is %.0f", m[1], got, reading, highest(reading, percent))
				switch {
				case !ok:
					t.Errorf("nothing counts %s", m[1])
				case *update:
					return strings.Replace(line, m[4], fmt.Sprintf("%*.0f", len(m[4]), got), 1)
				case got > highest(reading, percent) && (m[3] == "" || strings.Contains(text, here)):
					t.Errorf("%s is above its limit. Find what made it dearer. If that is worth it: HMETRICS_TEST_SLOW=1 go test ./test/bench -run TestLimits/%s -update", m[1], group)
				}
				return line
			})
			if n := strings.Count(text, "\n"+group+"."); n != len(seen) {
				t.Errorf("%d limits for %v", n, seen)
			}
		})
	}
	if *update {
		check(os.WriteFile("limits.txt", []byte(regexp.MustCompile(`\nrelease .*\n`).ReplaceAllString(text, here)), 0o666))
	}
}

// countInstructions counts what the shell executes in bin/toolexec until it execs the
// tool, more than for a script that does nothing else. The tool is not there, because
// valgrind cannot tell of a process that has become another.
func countInstructions(_ context.Context, t *testing.T, w *workspace) map[string]float64 {
	if _, err := exec.LookPath("valgrind"); err != nil {
		t.Skip("valgrind is not installed: apt-get install valgrind")
	}
	// The shell looks through all arguments and GOFLAGS character by character, so no
	// path may be longer here than there.
	dir := t.TempDir()
	const length = 90 // about that of a platform
	if len(dir) > length-2 {
		t.Skip("TMPDIR is too long a path")
	}
	dir = filepath.Join(dir, strings.Repeat("x", length-len(dir)))
	nothing, toolexec := filepath.Join(dir, "nothing"), filepath.Join(dir, "bin", "toolexec")
	check(os.MkdirAll(filepath.Dir(toolexec), 0o777))
	check(os.WriteFile(nothing, []byte("#!/bin/sh\nexec \"$@\"\n"), 0o777))
	check(os.WriteFile(toolexec, must(os.ReadFile(filepath.Join(w.buildpack, "bin", "toolexec"))), 0o777))
	// A step as the go command has it.
	step := strings.Fields("--tool=callgrind --callgrind-out-file=" + os.DevNull + " /bin/sh SCRIPT " + filepath.Join(dir, "not-there", "compile") + " -o $WORK/b001/_pkg_.a -trimpath $WORK/b001=> -p example.com/app/internal/p000" +
		" -lang=go1.24 -complete -buildid aaaaaaaaaaaaaaaaaaaa/aaaaaaaaaaaaaaaaaaaa -goversion go1.26.8 -c=2 -shared=false -nolocalimports -importcfg $WORK/b001/importcfg -pack ./a.go ./b.go")
	count := func(script, goflags string) float64 {
		step[3] = script
		cmd := exec.Command("valgrind", step...)
		cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "HMETRICS_STAGE=" + dir, "HMETRICS_INJECT=auto", "TOOLEXEC_IMPORTPATH=example.com/app/internal/p000", "GOFLAGS=" + goflags}
		out, _ := cmd.CombinedOutput() // which fails, because there is no tool
		m := regexp.MustCompile(`Collected : (\d+)`).FindSubmatch(out)
		if m == nil || !strings.Contains(string(out), "not found") {
			t.Fatalf("valgrind does not tell how many instructions it saw:\n%s", out)
		}
		return must(strconv.ParseFloat(string(m[1]), 64))
	}
	ours := "-toolexec=" + toolexec
	chain := "-toolexec=" + filepath.Join(dir, "not-there", "wrapper") + " " + ours
	return map[string]float64{"step": count(toolexec, ours) - count(nothing, ours), "chain": count(toolexec, chain) - count(nothing, chain)}
}

// countProcesses counts the processes that a build starts, more than without the
// buildpack, and those that a step starts that is not ours.
func countProcesses(ctx context.Context, t *testing.T, w *workspace) map[string]float64 {
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed: apt-get install strace")
	}
	seen := map[string]float64{}
	dir, a := w.dir("processes"), w.generate(ctx, workerApp)
	for side, sign := range map[string]float64{plain: -1, buildpack: 1} {
		b := w.newBuilder(ctx, side, a, dir)
		b.command = slices.Insert(b.command, 2, "-p=1")
		for i, build := range []string{"cold", "nochange", "edit"} {
			a.edit(i / 2)
			seen[build] += sign * float64(processes(ctx, t, w, b.app.dir, append(b.env, "GOCACHE="+b.gocache, "GOBIN="+b.bin), b.command...))
		}
		a.edit(0)
	}
	toolexec, tool, env := w.step(ctx)
	seen["step"] = float64(processes(ctx, t, w, dir, env, toolexec, tool, "-V=full"))
	return seen
}

var processLine = regexp.MustCompile(`(?m)^\d+ +(?:v?fork|clone3?)\(.*$`)

// processes returns how many processes a command starts.
func processes(ctx context.Context, t *testing.T, w *workspace, dir string, env []string, command ...string) (n int) {
	log := filepath.Join(t.TempDir(), "log")
	w.run(ctx, dir, env, "strace", append([]string{"-f", "-qq", "-o", log, "-e", "signal=none", "-e", "trace=fork,vfork,clone,clone3,execve"}, command...)...)
	b := must(os.ReadFile(log))
	for _, line := range processLine.FindAllString(string(b), -1) {
		if !strings.Contains(line, "CLONE_THREAD") {
			n++
		}
	}
	programs := map[string]int{}
	for _, m := range regexp.MustCompile(`execve\("[^"]*?([^/"]+)"`).FindAllStringSubmatch(string(b), -1) {
		programs[m[1]]++
	}
	t.Logf("%d processes, programs run in them: %v", n, programs)
	return n
}

func countBytes(ctx context.Context, _ *testing.T, w *workspace) map[string]float64 {
	return map[string]float64{
		"worker": w.growth(ctx, workerApp, buildpack),
		"web":    w.growth(ctx, serveApp, buildpack),
	}
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
			objects[i] = must(d.after(ctx, n, (*dyno).allocated))
		}
		asking := objects[2] - objects[1]
		seen[name] = math.Round((objects[3] - objects[2] - asking) / reports)
	}
	return seen
}
