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
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "store what TestLimits reads in limits.txt, and show in the README what readings.jsonl holds")

const limitsFile = "limits.txt"

// A limit is a line of limits.txt. What is read may be more than the reading
// that is stored by the margin.
type limit struct {
	released bool // whether the reading is of one Go release
	reading  float64
	margin   float64 // part of the reading
}

func (l limit) highest() float64 { return math.Floor(l.reading * (1 + l.margin)) }

var limitLine = regexp.MustCompile(`^([a-z.]+)(\*?)\s+(\d+)\s+(\d+)%\s+\S`)

func readLimits(t *testing.T) (release string, limits map[string]limit) {
	t.Helper()
	b, err := os.ReadFile(limitsFile)
	if err != nil {
		t.Fatal(err)
	}
	limits = map[string]limit{}
	for n, line := range strings.Split(string(b), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "release ") {
			release = strings.TrimSpace(strings.TrimPrefix(line, "release "))
			continue
		}
		m := limitLine.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("%s:%d is no limit: %q: want a name, a reading, a margin in %% and why", limitsFile, n+1, line)
		}
		reading, _ := strconv.ParseFloat(m[3], 64)
		margin, _ := strconv.ParseFloat(m[4], 64)
		limits[m[1]] = limit{m[2] == "*", reading, margin / 100}
	}
	return release, limits
}

// A gauge takes the readings of some limits, by their names. What it cannot
// take on this machine it leaves out, and says why.
type gauge struct {
	name  string
	slow  bool // whether it builds the standard library a few times
	takes []string
	read  func(ctx context.Context, t *testing.T, l *lab) (seen map[string]float64, why string)
}

var gauges = []gauge{
	{"instructions", false, []string{"toolexec.instructions", "toolexec.chain.instructions"}, readInstructions},
	{"processes", true, []string{"toolexec.step.processes", "nochange.processes", "edit.processes", "cold.processes"}, readProcesses},
	{"binaries", true, []string{"worker.bytes", "web.bytes", "report.allocations"}, readBinaries},
}

// TestLimits reads what a change of the buildpack can make dearer and what does
// not depend on how fast or busy a machine is.
func TestLimits(t *testing.T) {
	ctx := context.Background()
	l, err := openLab(ctx, t.TempDir(), "", t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	l.environ = append(l.environ, "CGO_ENABLED=0") // whatever C compiler there is
	here := strings.Join(strings.SplitN(runtime.Version(), ".", 3)[:2], ".")

	for _, g := range gauges {
		g := g
		t.Run(g.name, func(t *testing.T) {
			if g.slow && os.Getenv("HMETRICS_TEST_SLOW") != "1" {
				t.Skip("HMETRICS_TEST_SLOW is not 1: this builds the standard library a few times")
			}
			l.say = t.Logf
			seen, why := g.read(ctx, t, l)
			if len(seen) == 0 {
				t.Skip(why)
			}
			if *update {
				store(t, seen, here)
				return
			}
			release, limits := readLimits(t)
			for _, name := range g.takes {
				x, ok := limits[name]
				got, read := seen[name]
				switch {
				case !ok || !read:
					t.Errorf("%s: limit in %s: %v, reading taken: %v", name, limitsFile, ok, read)
				case x.released && here != release:
					t.Logf("%s: %.0f on %s, where no limit holds: the one stored is of %s", name, got, here, release)
				case got > x.highest():
					t.Errorf("%s is %.0f, and its limit is %.0f (%.0f and %.0f %%).\n"+
						"Find what made it dearer. If that is worth it: HMETRICS_TEST_SLOW=1 go test ./test/bench -run TestLimits/%s -update",
						name, got, x.highest(), x.reading, x.margin*100, g.name)
				case got < x.reading*(1-x.margin):
					t.Logf("%s is down to %.0f from %.0f: -update keeps it there", name, got, x.reading)
				default:
					t.Logf("%s is %.0f, within %.0f", name, got, x.highest())
				}
			}
		})
	}
}

// store writes readings into limits.txt and leaves the rest of it as it is.
func store(t *testing.T, seen map[string]float64, release string) {
	t.Helper()
	b, err := os.ReadFile(limitsFile)
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`(?m)^release .*$`).ReplaceAllString(string(b), "release "+release)
	for name, got := range seen {
		t.Logf("%s: %.0f", name, got)
		line := regexp.MustCompile(`(?m)^(` + regexp.QuoteMeta(name) + `\*?)( +\d+)`)
		text = line.ReplaceAllStringFunc(text, func(old string) string {
			m := line.FindStringSubmatch(old)
			return m[1] + " " + fmt.Sprintf("%*.0f", len(m[2])-1, got)
		})
	}
	if err := os.WriteFile(limitsFile, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// Every limit is read, and everything that is read has a limit.
func TestLimitsAreRead(t *testing.T) {
	_, limits := readLimits(t)
	for _, g := range gauges {
		for _, name := range g.takes {
			if _, ok := limits[name]; !ok {
				t.Errorf("%s has no limit in %s", name, limitsFile)
			}
			delete(limits, name)
		}
	}
	for name := range limits {
		t.Errorf("%s has a limit for %s, and nothing reads it", limitsFile, name)
	}
}

// A limit that a reading is above fails the test, one that it is within does not.
func TestLimitMargin(t *testing.T) {
	for _, c := range []struct {
		limit
		highest float64
	}{
		{limit{reading: 100, margin: 0.05}, 105},
		{limit{reading: 7, margin: 0}, 7},
		{limit{reading: 0, margin: 0.5}, 0},
	} {
		if got := c.limit.highest(); got != c.highest {
			t.Errorf("the highest of %+v is %v, want %v", c.limit, got, c.highest)
		}
	}
}

// readInstructions counts what the shell executes in bin/toolexec until it execs
// the tool, more than for a script that does nothing else. The tool is not there,
// because valgrind cannot tell of a process that has become another.
func readInstructions(ctx context.Context, t *testing.T, l *lab) (seen map[string]float64, why string) {
	seen = map[string]float64{}
	if _, err := exec.LookPath("valgrind"); err != nil {
		return nil, "valgrind is not installed: apt-get install valgrind"
	}
	// The shell looks through all arguments and GOFLAGS character by character,
	// so no path may be longer here than there.
	dir := t.TempDir()
	const length = 90 // about that of a platform
	if len(dir) > length-2 {
		return nil, "TMPDIR is too long a path"
	}
	dir = filepath.Join(dir, strings.Repeat("x", length-len(dir)))
	script, toolexec := filepath.Join(dir, "nothing"), filepath.Join(dir, "bin", "toolexec")
	if err := os.MkdirAll(filepath.Dir(toolexec), 0o777); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(l.buildpack, "bin", "toolexec"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{script: "#!/bin/sh\nexec \"$@\"\n", toolexec: string(text)} {
		if err := os.WriteFile(name, []byte(text), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	env := []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "HMETRICS_STAGE=" + dir, "HMETRICS_INJECT=auto"}
	// A step as the go command has it.
	args := []string{filepath.Join(dir, "not-there", "compile"), "-o", "$WORK/b001/_pkg_.a", "-trimpath", "$WORK/b001=>", "-p", "example.com/app/internal/p000",
		"-lang=go1.24", "-complete", "-buildid", "aaaaaaaaaaaaaaaaaaaa/aaaaaaaaaaaaaaaaaaaa", "-goversion", "go1.26.8", "-c=2", "-shared=false", "-nolocalimports",
		"-importcfg", "$WORK/b001/importcfg", "-pack", "./a.go", "./b.go"}
	count := func(script, goflags string) float64 {
		cmd := exec.Command("valgrind", append([]string{"--tool=callgrind", "--callgrind-out-file=" + os.DevNull, "/bin/sh", script}, args...)...)
		cmd.Env = append(env[:len(env):len(env)], "TOOLEXEC_IMPORTPATH=example.com/app/internal/p000", "GOFLAGS="+goflags)
		out, _ := cmd.CombinedOutput() // which fails, because there is no tool
		m := regexp.MustCompile(`Collected : (\d+)`).FindSubmatch(out)
		if m == nil || !strings.Contains(string(out), "not found") {
			t.Fatalf("valgrind does not tell how many instructions it saw:\n%s", out)
		}
		n, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	ours := "-toolexec=" + toolexec
	chain := "-toolexec=" + filepath.Join(dir, "not-there", "wrapper") + " " + ours
	seen["toolexec.instructions"] = count(toolexec, ours) - count(script, ours)
	seen["toolexec.chain.instructions"] = count(toolexec, chain) - count(script, chain)
	return seen, ""
}

// readProcesses counts the processes that a build starts, more than without the
// buildpack.
func readProcesses(ctx context.Context, t *testing.T, l *lab) (seen map[string]float64, why string) {
	seen = map[string]float64{}
	a, err := l.generate(workerApp)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := l.dir("processes")
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]map[string]processes{}
	for _, side := range []string{plain, buildpack} {
		b, err := l.newBuilder(ctx, side, a, dir)
		if err != nil {
			t.Fatal(err)
		}
		// What is built with the buildpack finds nothing of use in a cache
		// filled without it.
		b.gocache = filepath.Join(l.cache, "warm")
		counts[side] = map[string]processes{}
		for i, build := range []string{"cold", "nochange", "edit"} {
			if build == "edit" {
				if err := a.edit(i); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command(l.gocmd(), "install", "-p=1", "-tags", "heroku", "./...")
			cmd.Dir = a.dir
			cmd.Env = append(append([]string{}, b.env...), "PWD="+a.dir, "GOCACHE="+b.gocache, "GOBIN="+b.bin)
			p, err := countProcesses(cmd)
			if err != nil {
				return nil, err.Error()
			}
			counts[side][build] = p
			t.Logf("%s, %s: %d processes, programs run in them: %s", build, side, p.started, p)
		}
		if err := a.write(); err != nil {
			t.Fatal(err)
		}
	}
	for _, build := range []string{"cold", "nochange", "edit"} {
		seen[build+".processes"] = float64(counts[buildpack][build].started - counts[plain][build].started)
	}

	env, err := l.deploy(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	toolexec, err := toolexecOf(env)
	if err != nil {
		t.Fatal(err)
	}
	tooldir, err := l.output(ctx, dir, l.environ, l.gocmd(), "env", "GOTOOLDIR")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(toolexec, filepath.Join(strings.TrimSpace(tooldir), "asm"), "-V=full")
	cmd.Env = env
	p, err := countProcesses(cmd)
	if err != nil {
		t.Fatal(err)
	}
	seen["toolexec.step.processes"] = float64(p.started - 1)
	return seen, ""
}

// readBinaries takes the growth of binaries and the allocations of a report.
func readBinaries(ctx context.Context, t *testing.T, l *lab) (seen map[string]float64, why string) {
	seen = map[string]float64{}
	for name, s := range map[string]shape{
		"worker.bytes": workerApp,
		"web.bytes":    {name: "serve", packages: 1, mains: 1},
	} {
		bare, err := l.size(ctx, s, plain)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := l.size(ctx, s, buildpack)
		if err != nil {
			t.Fatal(err)
		}
		seen[name] = ours - bare
	}

	file, err := l.binary(ctx, probeApp, buildpack)
	if err != nil {
		t.Fatal(err)
	}
	d, err := startDyno(ctx, file, "1s")
	if err != nil {
		t.Fatal(err)
	}
	defer d.stop()
	var objects [3]float64
	const reports = 8
	// The first report connects, and asking allocates too: two answers with
	// no report between them tell how much.
	for i, n := range []int{2, 2, 2 + reports} {
		if err := d.reported(ctx, n); err != nil {
			t.Fatal(err)
		}
		if objects[i], err = d.count("objects"); err != nil {
			t.Fatal(err)
		}
	}
	asking := objects[1] - objects[0]
	seen["report.allocations"] = math.Round((objects[2] - objects[1] - asking) / reports)
	return seen, ""
}
