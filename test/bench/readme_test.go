package bench

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dsnet/try"
	"github.com/dustin/go-humanize"
	"golang.org/x/perf/benchfmt"
	"golang.org/x/perf/benchmath"
)

// A row is one of the tables.
type row struct {
	name, what, baseline string
	compared             string  // the unit of what compares the sides
	target               float64 // 0: there is none
}

var rows = []row{
	{"Build/web/cold", "cold build of a web app (gin)", "plain go install", "ratio", 1.04},
	{"Build/web/nochange", "rebuild with no change", "plain go install", "more-sec", 0.020},
	{"Build/web/inject", "rebuild with no change, by inject go", "plain go install", "more-sec", 0.060},
	{"Build/web/edit", "rebuild after one edit in main", "plain go install", "more-sec", 0.250},
	{"Build/web/redeploy", "the same sources deployed once more", "plain redeploy", "more-sec", 0.1},
	{"Build/web/setting", "the same, with another HMETRICS_PACKAGES", "plain redeploy", "more-sec", 1.5},
	{"Build/web/update", "the same, with another version of the buildpack", "plain redeploy", "more-sec", 1.5},
	{"Build/mains20/cold", "20 main packages in one go install, cold", "plain go install", "ratio", 1.05},
	{"Build/orchestrion/cold", "cold build by orchestrion go install", "plain go install", "ratio", 0},
	{"Build/orchestrion/nochange", "rebuild with no change, by orchestrion go install", "plain go install", "more-sec", 0},
	{"Growth/web", "slug growth, web app", "growth by heroku/x/hmetrics", "ratio", 1.10},
	{"Report/web", "CPU time per report: sample, encode, deliver to loopback", "heroku/x/hmetrics", "ratio", 0.8},
	{"Growth/otlp", "OTLP: slug growth, web app", "growth by the SDK", "ratio", 1.0 / 15},
	{"Report/otlp", "OTLP: CPU time per export to loopback", "the SDK", "ratio", 0},
}

// The figures on the cost come from the readings: the table here, and the shorter one in the
// repository's README.
func TestReadme(t *testing.T) {
	readings := map[string]map[string][]float64{} // by row and unit
	file := try.E1(os.Open("readings.txt"))
	defer file.Close()
	for r := benchfmt.NewReader(file, file.Name()); r.Scan(); {
		result := r.Result().(*benchfmt.Result)
		name, _, _ := strings.Cut(result.Name.String(), "-")
		if readings[name] == nil {
			readings[name] = map[string][]float64{}
		}
		for _, v := range result.Values {
			readings[name][v.Unit] = append(readings[name][v.Unit], v.Value)
		}
	}
	for file, brief := range map[string][]string{"README.md": nil, "../../README.md": {"Build/web/cold", "Build/web/edit", "Growth/web", "Growth/otlp"}} {
		line := func(columns []string) string {
			if brief != nil {
				columns = columns[1:6]
			}
			return "| " + strings.Join(columns, " | ") + " |\n"
		}
		head := line([]string{"row", "what is measured", "baseline", "with the buildpack", "ratio or difference", "lowest … highest", "pairs", "CPU", "target"})
		table := head + strings.Repeat("|---", strings.Count(head, "|")-1) + "|\n"
		for _, r := range rows {
			if brief == nil || slices.Contains(brief, r.name) {
				table += line(r.columns(readings[r.name]))
			}
		}
		content := string(try.E1(os.ReadFile(file)))
		before, rest, found := strings.Cut(content, "\n"+head)
		_, after, _ := strings.Cut(rest, "\n\n")
		want := strings.TrimRight(before+"\n"+table+"\n"+after, "\n") + "\n"
		switch {
		case !found:
			t.Errorf("%s has no table that begins with %q", file, head)
		case *update:
			try.E(os.WriteFile(file, []byte(want), 0o666))
		case content != want:
			t.Errorf("%s does not match readings.txt: go test ./test/bench -run TestReadme -update", file)
		}
	}
}

// columns returns what the table has of a row's readings, which are given by their unit.
func (r row) columns(readings map[string][]float64) []string {
	mid, low, high := center(readings[r.compared])
	spread, cpu, target := "", "", ""
	if low != high { // what does not vary has none
		spread = show(r.compared, low) + " … " + show(r.compared, high)
	}
	if ratio, _, _ := center(readings["cpu-ratio"]); ratio > 0 {
		cpu = show("ratio", ratio)
	}
	if r.target > 0 {
		target = "≤ " + show(r.compared, r.target) + ": " + map[bool]string{true: "met", false: "missed"}[mid <= r.target]
	}
	unit := "sec"
	if readings["baseline-sec"] == nil {
		unit = "bytes"
	}
	baseline, _, _ := center(readings["baseline-"+unit])
	ours, _, _ := center(readings["buildpack-"+unit])
	return []string{r.name, r.what, r.baseline + ": " + show(unit, baseline), show(unit, ours), show(r.compared, mid), spread,
		fmt.Sprint(len(readings[r.compared])), cpu, target}
}

// center returns the median of values, and the lowest and the highest, or zeros.
func center(values []float64) (mid, low, high float64) {
	if len(values) == 0 {
		return 0, 0, 0
	}
	s := benchmath.NewSample(values, &benchmath.DefaultThresholds)
	return benchmath.AssumeNothing.Summary(s, 0.95).Center, s.Values[0], s.Values[len(s.Values)-1]
}

// show shows three digits of a reading, with its unit, or what compares two.
func show(unit string, v float64) string {
	rounded := try.E1(strconv.ParseFloat(fmt.Sprintf("%.3g", v), 64))
	switch unit {
	case "sec":
		return humanize.SI(rounded, "s")
	case "bytes":
		return humanize.SI(rounded, "B")
	case "more-sec":
		return "+" + humanize.SI(rounded, "s")
	}
	return fmt.Sprintf("%.3f", v)
}
