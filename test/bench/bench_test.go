package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestSummary(t *testing.T) {
	pairs := [][2]float64{{10, 10}, {22, 20}, {33, 30}, {12, 10}, {50, 100}}
	s := summarise(pairs, ratio.of)
	if s.pairs != 5 || s.a != 22 || s.b != 20 || s.mid != 1.1 || s.low != 0.5 || s.high != 1.2 {
		t.Errorf("got %+v", s)
	}
	if s := summarise(pairs, difference.of); s.mid != 2 || s.low != -50 || s.high != 3 {
		t.Errorf("got %+v", s)
	}
	if s := summarise(nil, ratio.of); s.pairs != 0 || !math.IsNaN(s.mid) {
		t.Errorf("of nothing: %+v", s)
	}
	values := make([]float64, 1000)
	for i := range values {
		values[(i*7)%1000] = float64(i + 1)
	}
	if got := quantile(values, 0.999); got != 999 {
		t.Errorf("p99.9 of 1 to 1000 is %v", got)
	}
	if got := median([]float64{4, 1, 3, 2}); got != 2.5 {
		t.Errorf("median %v", got)
	}
}

func TestVerdicts(t *testing.T) {
	for _, c := range []struct {
		row   string
		pairs [][2]float64
		want  string
	}{
		{"cold/web", [][2]float64{{1.04, 1}}, "met"},
		{"cold/web", [][2]float64{{1.05, 1}}, "missed"},
		{"cold/10", [][2]float64{{2, 1}}, ""},
		{"nochange/web", [][2]float64{{0.259, 0.2}}, "met"},
		{"nochange/web", [][2]float64{{0.261, 0.2}}, "missed"},
		{"pauses", [][2]float64{{0, 1}}, "met"},
		{"pauses", [][2]float64{{0.5, 1}}, "missed"},
		{"latency/p99", [][2]float64{{1.1, 1}, {1.2, 1}, {0.9, 1}, {1.1, 1}, {1.1, 1}}, "met"},
		{"latency/p99", [][2]float64{{1.1, 1}, {1.2, 1}, {1.01, 1}, {1.1, 1}, {1.1, 1}}, "missed"},
		{"latency/p99", [][2]float64{{1, 1}}, "too few pairs"},
	} {
		r, ok := findRow(c.row)
		if !ok {
			t.Fatal("no row ", c.row)
		}
		if got := r.verdict(summarise(c.pairs, r.compare.of)); got != c.want {
			t.Errorf("%s %v: %q, want %q", c.row, c.pairs, got, c.want)
		}
	}
}

// Every row is measured by one group, with sides that the row knows.
func TestRowsAndGroups(t *testing.T) {
	measured := map[string]int{}
	for _, g := range groups() {
		for _, name := range g.rows {
			measured[name]++
		}
	}
	for _, r := range rows {
		if measured[r.name] != 1 {
			t.Errorf("%s is measured by %d groups", r.name, measured[r.name])
		}
		delete(measured, r.name)
	}
	for name := range measured {
		t.Errorf("a group measures %s, which is no row", name)
	}
}

func TestJournal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "readings")
	write := func(run string, values ...float64) {
		t.Helper()
		j, err := openJournal(file, "go1.26.8")
		if err != nil {
			t.Fatal(err)
		}
		j.run = run
		for i, v := range values {
			for side, v := range map[string]float64{buildpack: v, plain: 1} {
				if err := j.add(reading{Row: "cold/web", Pair: i + 1, Side: side, Unit: inSeconds, Value: v, CPU: 2 * v}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := j.close(); err != nil {
			t.Fatal(err)
		}
	}
	write("first", 7, 8, 9)
	write("second", 1.5, 2)
	j, err := openJournal(file, "")
	if err != nil {
		t.Fatal(err)
	}
	// One side of a pair that was interrupted.
	if err := j.add(reading{Row: "cold/10", Pair: 1, Side: plain, Unit: inSeconds, Value: 3}); err != nil {
		t.Fatal(err)
	}
	defer j.close()
	r, _ := findRow("cold/web")
	values, cpu := j.pairs(r)
	if len(values) != 2 || values[0] != [2]float64{1.5, 1} || len(cpu) != 2 || cpu[1] != [2]float64{4, 2} {
		t.Errorf("the last run's pairs are %v, CPU %v", values, cpu)
	}
	half, _ := findRow("cold/10")
	if values, _ := j.pairs(half); len(values) != 0 {
		t.Errorf("half a pair counts: %v", values)
	}

	var table, stat bytes.Buffer
	ok, err := writeTable(&table, j)
	if err != nil || ok {
		t.Errorf("a missed target does not show: %v, %v", ok, err)
	}
	if !strings.Contains(table.String(), "1.750") || !strings.Contains(table.String(), "missed") || strings.Contains(table.String(), "cold/10") {
		t.Errorf("the table is\n%s", table.String())
	}
	if err := j.writeBenchstat(&stat); err != nil {
		t.Fatal(err)
	}
	if want := "Benchmark/row=cold_web/side=buildpack 1 1.5e+09 ns/op 3e+09 cpu-ns/op\n"; !strings.Contains(stat.String(), want) {
		t.Errorf("for benchstat:\n%swant a line %s", stat.String(), want)
	}

	if err := os.WriteFile(file, []byte("{}\nnonsense\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := openJournal(file, ""); err == nil || !strings.Contains(err.Error(), file+":2") {
		t.Errorf("a damaged file: %v", err)
	}
}

func TestPlot(t *testing.T) {
	j := &journal{run: "x"}
	if err := plot(io.Discard, j); err == nil {
		t.Error("nothing was plotted, and no error says so")
	}
	for name, plainTook := range map[string]float64{"cold/10": 30, "cold/1000": 150, "cold/web": 60, "mains/20": 90} {
		j.add(reading{Row: name, Pair: 1, Side: plain, Value: plainTook})
		j.add(reading{Row: name, Pair: 1, Side: buildpack, Value: plainTook * 1.25})
		j.add(reading{Row: peer(name), Pair: 1, Side: pinned, Value: plainTook})
		j.add(reading{Row: peer(name), Pair: 1, Side: orchestrion, Value: plainTook * 1.5})
	}
	var svg bytes.Buffer
	if err := plot(&svg, j); err != nil {
		t.Fatal(err)
	}
	dec := xml.NewDecoder(bytes.NewReader(svg.Bytes()))
	text := ""
	for {
		token, err := dec.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("the plot is no XML: %v\n%s", err, svg.String())
		}
		if c, ok := token.(xml.CharData); ok {
			text += string(c) + "\n"
		}
	}
	for _, want := range []string{"× 1.25", "× 1.50", "with this buildpack", "1,000", "main packages of a web app"} {
		if !strings.Contains(text, want) {
			t.Errorf("the plot does not say %q:\n%s", want, text)
		}
	}

	// In a slower hour all of the peer's pairs take longer, and compare alike.
	for i := range j.readings {
		if s := j.readings[i].Side; s == pinned || s == orchestrion {
			j.readings[i].Value *= 2
		}
	}
	var slower bytes.Buffer
	if err := plot(&slower, j); err != nil {
		t.Fatal(err)
	}
	if slower.String() != svg.String() {
		t.Error("the plot depends on the time at which the peer was measured")
	}
}

// Apps are the same each time and consist of as many packages as their shape
// says.
func TestApps(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: this fetches modules")
	}
	ctx := context.Background()
	l, err := openLab(ctx, t.TempDir(), "", t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	for _, s := range []shape{webApp, webApp.byHand(), workerApp, workerApp.withClient(), probeApp, mains(5),
		{name: "app1000", packages: 1000, framed: true, mains: 1}} {
		a, err := l.generate(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := l.generate(s)
		if err != nil || len(again.files) != len(a.files) {
			t.Fatal(err, len(again.files))
		}
		for name, content := range a.files {
			if again.files[name] != content {
				t.Errorf("%s: another %s each time", s.name, name)
			}
		}
		out, err := l.output(ctx, a.dir, l.environ, l.gocmd(), "list", "-deps", "-tags", "heroku", "-f", `{{if not (or .Standard (eq .Name "main"))}}{{.ImportPath}}{{end}}`, "./...")
		if err != nil {
			t.Fatal(err)
		}
		want := s.packages
		if s.imports != "" {
			want += 2 // heroku/x/hmetrics and its onload
		}
		if got := strings.Count(out, "\n"); got != want {
			t.Errorf("%s consists of %d packages besides the standard library, want %d", s.name, got, want)
		}
		if s.mains > 0 {
			if _, err := os.Stat(filepath.Join(a.dir, "cmd", a.main, "main.go")); err != nil {
				t.Error(err)
			}
		}
		before, _ := os.ReadFile(filepath.Join(a.dir, "cmd", a.main, "main.go"))
		if err := a.edit(3); err != nil {
			t.Error(err)
		}
		after, _ := os.ReadFile(filepath.Join(a.dir, "cmd", a.main, "main.go"))
		if bytes.Equal(before, after) {
			t.Errorf("%s: the edit changed nothing", s.name)
		}
	}
}

// A second bench in the same cache would measure the first.
func TestOneAtATime(t *testing.T) {
	cache := t.TempDir()
	l, err := openLab(context.Background(), cache, "", t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if _, err := openLab(context.Background(), cache, "", t.Logf); err == nil || !strings.Contains(err.Error(), "another run") {
		t.Errorf("got %v", err)
	}
}

func TestCommandLine(t *testing.T) {
	for _, args := range [][]string{{"-pairs", "0"}, {"-run", "("}, {"cold"}, {"-show"}} {
		if _, err := parse(args, io.Discard); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
	o, err := parse([]string{"-run", "^cold/web"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if jobs := o.jobs(); len(jobs) != 1 || !jobs[0].wanted["cold/web"] || len(jobs[0].wanted) != 1 {
		t.Errorf("-run ^cold/web chooses %+v", jobs)
	}
	o.orchestrion = true
	if jobs := o.jobs(); len(jobs) != 1 || len(jobs[0].wanted) != 2 {
		t.Errorf("with -orchestrion it chooses %+v", jobs)
	}
	if _, err := run(context.Background(), options{run: regexp.MustCompile("nothing has this name"), pairs: 1}); err == nil {
		t.Error("no row was chosen, and no error says so")
	}
}

// What fails in one group does not cost the readings of others.
func TestFailureKeepsTheRest(t *testing.T) {
	file := filepath.Join(t.TempDir(), "readings")
	j, err := openJournal(file, "go1.26.8")
	if err != nil {
		t.Fatal(err)
	}
	defer j.close()
	fails := job{name: "step", wanted: map[string]bool{"step": true}, pairs: 3, group: group{
		measure: func(_ context.Context, _ *lab, pair int, m *meter) error {
			if pair == 2 {
				return errors.New("the disk is full")
			}
			m.emit("step", pair, buildpack, took{wall: 0.003})
			m.emit("step", pair, plain, took{wall: 0.002})
			return nil
		},
	}}
	err = measure(context.Background(), nil, j, fails, 0, func(string, ...interface{}) {})
	if err == nil || !strings.Contains(err.Error(), "pair 2: the disk is full") {
		t.Errorf("got %v", err)
	}
	b, err := os.ReadFile(file)
	if err != nil || strings.Count(string(b), "\n") != 2 {
		t.Errorf("the file holds\n%s%v", b, err)
	}
}

// A load comes at its rate, and an answer that takes long is counted from when
// its request was due.
func TestLoad(t *testing.T) {
	srv := newSlowServer(t, 30*time.Millisecond)
	times, err := load(context.Background(), srv, 50, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if len(times) != 50 {
		t.Errorf("%d requests in a second at 50 a second", len(times))
	}
	if got := quantile(times, 0.01); got < 0.030 {
		t.Errorf("the fastest answer took %v s, and the server takes 0.03 s", got)
	}
}

func newSlowServer(t *testing.T, answersAfter time.Duration) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(answersAfter) // what is measured
		io.WriteString(w, "done")
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}
