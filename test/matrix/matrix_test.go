package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

func TestCellsAreWellFormed(t *testing.T) {
	names := map[string]bool{}
	used := map[string]bool{}
	for _, c := range cells() {
		if names[c.name] {
			t.Errorf("%s: there are two of that name", c.name)
		}
		names[c.name] = true
		if len(c.expectations()) == 0 {
			t.Errorf("%s: it expects nothing, so it cannot fail", c.name)
		}
		for _, re := range []string{c.works, c.says} {
			if _, err := regexp.Compile(re); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		app := c.app
		if app == "" {
			app = "plain"
		}
		used[app] = true
		if _, err := apps.ReadFile("testdata/" + app + ".txtar"); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, script := range []string{c.setup, c.build} {
			if out, err := exec.Command("bash", "-n", "-c", script).CombinedOutput(); err != nil {
				t.Errorf("%s: %s%s", c.name, script, out)
			}
		}
	}
	entries, err := apps.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if app := strings.TrimSuffix(e.Name(), ".txtar"); !used[app] {
			t.Errorf("no cell builds the app %s", app)
		}
		data, err := apps.ReadFile("testdata/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if len(txtar.Parse(data).Comment) == 0 {
			t.Errorf("%s does not say what the app is for", e.Name())
		}
	}
}

// What runs in each run of CI has the newest and the oldest Go, and every flag.
func TestShortMatrix(t *testing.T) {
	// What a cell builds with: flags, and variables of its environment.
	flag, variable := regexp.MustCompile(`(?:^|[ "'=])--?([a-z0-9]+)\b`), regexp.MustCompile(`\b(GO[A-Z0-9]+)=`)
	with := func(c cell) (names []string) {
		for _, m := range append(flag.FindAllStringSubmatch(c.build, -1), variable.FindAllStringSubmatch(strings.Join(c.env, " "), -1)...) {
			names = append(names, m[1])
		}
		return names
	}
	short, used := map[string]bool{}, map[string]bool{}
	for _, c := range choose(cells(), regexp.MustCompile(""), true) {
		short[c.name] = true
		for _, name := range with(c) {
			used[name] = true
		}
	}
	for _, c := range cells() {
		if !strings.HasPrefix(c.name, "flags/") {
			continue
		}
		for _, name := range with(c) {
			if !used[name] {
				t.Errorf("nothing in it builds with %s, as %s does", name, c.name)
			}
		}
	}
	for _, name := range []string{"releases/" + oldest, "releases/local"} {
		if !short[name] {
			t.Errorf("%s is not in it", name)
		}
	}
	if n := len(choose(cells(), regexp.MustCompile("^releases/local$"), true)); n != 1 {
		t.Errorf("-run chose %d cells, not 1", n)
	}
}

// The matrix as a whole: a cell passes where its expectation holds, and fails
// where the same build is expected to come out otherwise.
func TestCellsCanFail(t *testing.T) {
	if os.Getenv("HMETRICS_TEST_SLOW") != "1" {
		t.Skip("HMETRICS_TEST_SLOW=1 lets it build apps")
	}
	// The stage's name, part of every key in the build cache, depends only on
	// what is staged, so the other tests' build cache is of use here.
	gocache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	l, err := openLab(ctx, t.TempDir(), "../..")
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if _, err := openLab(ctx, l.cache, "../.."); err == nil {
		t.Error("two matrices got the same cache")
	}

	build := cell{app: "two", env: []string{"GOCACHE=" + strings.TrimSpace(string(gocache))}, build: "go build -o app ./cmd/web"}
	quiet, says := build, build
	quiet.env = append(quiet.env, "HMETRICS_INJECT=off")
	says.build += "; echo hmetrics: said"
	with := func(c cell, change func(*cell)) cell { change(&c); return c }
	for _, tt := range []struct {
		name    string
		cell    cell
		problem string // regexp; "": it passes
	}{
		{"reports", with(build, func(c *cell) { c.reports = app }), ""},
		{"reports-not", with(build, func(c *cell) { c.build = "HMETRICS_STAGE= " + c.build; c.reports = app }), "does not hold the agent"},
		{"absent", with(build, func(c *cell) { c.build = "HMETRICS_STAGE= " + c.build; c.absent = app }), ""},
		{"absent-not", with(build, func(c *cell) { c.absent = app }), "it holds the agent"},
		{"holds-not", with(build, func(c *cell) { c.build = "GOFLAGS= " + c.build; c.holds = app }), "does not hold the agent"},
		{"without-not", with(build, func(c *cell) { c.without = app }), "it holds the agent"},
		{"off-not", with(build, func(c *cell) { c.off = []string{"timeout 2 ./app"} }), "ended before"},
		{"not-built", with(build, func(c *cell) { c.absent = []string{"./other"} }), "not built"},
		{"works-not", with(build, func(c *cell) { c.reports, c.works = []string{"timeout 2 ./app"}, "another app" }), "ended before"},
		{"build-fails", with(build, func(c *cell) { c.build += "; false"; c.reports = app }), "building: "},
		{"says-too-much", with(says, func(c *cell) { c.reports = app }), `the build says "hmetrics: said"`},
		{"says-other", with(says, func(c *cell) { c.reports, c.says = app, "why" }), `does not say "why"`},
		{"says", with(says, func(c *cell) { c.reports, c.says = app, "^hmetrics: said$" }), ""},
		{"no-app", cell{app: "none", build: "true", absent: app}, "preparing: .*none"},
	} {
		tt.cell.name = "test/" + tt.name
		r := l.run(ctx, tt.cell)
		switch {
		case tt.problem == "" && r.failed():
			t.Errorf("%s: %s\n%s", tt.name, r.problem, r.log)
		case tt.problem != "" && !regexp.MustCompile(tt.problem).MatchString(r.problem):
			t.Errorf("%s: the problem is %q, not %q\n%s", tt.name, r.problem, tt.problem, r.log)
		}
	}
	r := l.run(ctx, cell{name: "test/skipped", needs: needsCommand("no such thing", "false"), reports: app})
	if r.skipped != "no such thing" || r.failed() {
		t.Errorf("a cell that cannot be run was not skipped but %+v", r)
	}
}

func TestTable(t *testing.T) {
	c := []cell{
		{name: "flags/a", reports: app},
		{name: "flags/long", absent: app, says: "x"},
		{name: "flags/c", holds: app},
	}
	var out bytes.Buffer
	table := newTable(&out, c)
	table.add(result{cell: c[0], seen: "reports after 1.0 s", took: 1500 * time.Millisecond})
	table.add(result{cell: c[1], problem: "it holds the agent"})
	table.add(result{cell: c[2], skipped: "no compiler"})
	table.end(90 * time.Second)
	const want = `cell        expected                      time  seen
flags/a     reports                      1.5 s  reports after 1.0 s
flags/long  no agent, works, says why    0.0 s  FAILED: it holds the agent
flags/c     holds the agent                     skipped: no compiler
3 cells in 1m30s: 1 passed, 1 failed, 1 skipped (flags/c: no compiler)
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestParse(t *testing.T) {
	for _, args := range [][]string{{"-run", "("}, {"-p", "0"}, {"cell"}, {"-nothing"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%q was taken", args)
		}
	}
	o, err := parse([]string{"-run", "flags/", "-short", "-list", "-v"}, io.Discard)
	if err != nil || !o.short || !o.list || !o.verbose || o.run.String() != "flags/" || o.cache == "" {
		t.Errorf("got %+v, %v", o, err)
	}
}
