package bench

import (
	"flag"
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
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

var update = flag.Bool("update", false, "store the list of steps, and show in the READMEs what readings.txt holds")

// limits are readings that a change of the buildpack can increase, and that do not depend on
// the machine's speed or load. The margins, in percent, are for other causes.
var limits = map[string]struct{ reading, margin float64 }{
	// What the shell executes in bin/toolexec on a step that is not ours, up to the exec of
	// the tool. The margin is for another dash or libc; another case costs about 1 %.
	"instructions":                           {181235, 5},
	"instructions after another -toolexec":   {458631, 5},
	"bytes of a program without net/http":    {6579536, 1}, // patch releases of Go differ
	"bytes of a program with net/http":       {1403958, 2}, // 172 KB of it sign with a client's certificate
	"objects allocated by a report":          {92, 10},     // each on a connection of its own
	"objects allocated by an export by OTLP": {93, 10},
}

func limited(t *testing.T, name string, got float64) {
	t.Helper()
	l := limits[name]
	t.Logf("%s: %.0f, was %.0f", name, got, l.reading)
	if got > l.reading*(1+l.margin/100) {
		t.Errorf("%s: %.0f is more than %.0f plus %v %%. Find the cause; if it is worth the cost, enter the new figure in limits", name, got, l.reading, l.margin)
	}
}

// openLimited opens a workspace for a slow test whose figures depend on the Go release.
func openLimited(t *testing.T) *workspace {
	if os.Getenv("HMETRICS_TEST_SLOW") != "1" || !strings.HasPrefix(runtime.Version(), "go1.26") {
		t.Skip("HMETRICS_TEST_SLOW is not 1, or the release of Go is not that of the limits, 1.26")
	}
	w := openWorkspace(t.Context(), t.TempDir())
	t.Cleanup(w.close)
	w.environ = append(w.environ, "CGO_ENABLED=0") // whatever C compiler there is
	return w
}

// TestInstructions counts the instructions of the shell in bin/toolexec until it execs the
// tool, compared with a script that does nothing else. The tool does not exist, because
// valgrind cannot follow an exec.
func TestInstructions(t *testing.T) {
	if _, err := exec.LookPath("valgrind"); err != nil {
		t.Skip("valgrind is not installed: apt-get install valgrind")
	}
	// The shell reads all arguments and GOFLAGS character by character, so paths have the
	// same length everywhere, about that on a platform.
	long := func(name string) string { return strings.Repeat("./", (90-len(name))/2) + name }
	step := strings.Fields(long("not-there/compile") + " -o $WORK/b001/_pkg_.a -trimpath $WORK/b001=> -p example.com/app/internal/p000" +
		" -lang=go1.24 -complete -buildid aaaaaaaaaaaaaaaaaaaa/aaaaaaaaaaaaaaaaaaaa -goversion go1.26.8 -c=2 -shared=false" +
		" -nolocalimports -importcfg $WORK/b001/importcfg -pack ./a.go ./b.go")
	count := func(goflags string, script ...string) float64 {
		args := append([]string{"--tool=callgrind", "--callgrind-out-file=" + os.DevNull, "/bin/sh"}, script...)
		cmd := exec.Command("valgrind", append(args, step...)...)
		cmd.Dir = try.E1(machine.Checkout())
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
	limited(t, "instructions", more(ours))
	limited(t, "instructions after another -toolexec", more("-toolexec="+long("not-there/wrapper")+" "+ours))
}

func TestGrowth(t *testing.T) {
	w := openLimited(t)
	limited(t, "bytes of a program without net/http", w.growth(t.Context(), workerApp, buildpack))
	limited(t, "bytes of a program with net/http", w.growth(t.Context(), serveApp, buildpack))
}

// Each report to Heroku and each export by OTLP allocates a number of objects. The first one
// connects, the first answer fills caches, and the query allocates too: two queries without a
// report between them show how much.
func TestAllocations(t *testing.T) {
	w := openLimited(t)
	file := w.binary(t.Context(), serveApp, buildpack)
	for name, otlp := range map[string]bool{"a report": false, "an export by OTLP": true} {
		d := startDyno(t.Context(), file, otlp, time.Second)
		defer d.stop()
		const reports = 8
		var objects [4]float64
		for i, n := range []int{1, 2, 2, 2 + reports} {
			objects[i] = d.after(t.Context(), n, (*dyno).allocated)
		}
		asking := objects[2] - objects[1]
		limited(t, "objects allocated by "+name, math.Round((objects[3]-objects[2]-asking)/reports))
	}
}
