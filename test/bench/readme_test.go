package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/dsnet/try"
)

// The figures on the cost come from the readings: the table and the plot here, and the table
// in the repository's README.
func TestReadme(t *testing.T) {
	j := try.E1(openJournal("readings.jsonl"))
	defer j.file.Close()
	checkFile(t, "cost.svg", j.plot())
	for file, brief := range map[string][]string{"README.md": nil, "../../README.md": {"cold/web", "edit/web", "slug/web", "slug/otlp"}} {
		table, _ := j.table(brief...)
		head, _, _ := strings.Cut(table, "(")
		before, rest, found := strings.Cut(string(try.E1(os.ReadFile(file))), "\n"+head)
		if !found {
			t.Fatalf("%s has no table that begins with %q", file, head)
		}
		_, after, _ := strings.Cut(rest, "\n\n")
		checkFile(t, file, strings.TrimRight(before+"\n"+table+"\n"+after, "\n")+"\n")
	}
}

// checkFile compares a file with its wanted content, or with -update writes that.
func checkFile(t *testing.T, name, want string) {
	t.Helper()
	if *update {
		try.E(os.WriteFile(name, []byte(want), 0o666))
	} else if string(try.E1(os.ReadFile(name))) != want {
		t.Errorf("%s does not match readings.jsonl: go test ./test/bench -run TestReadme -update", name)
	}
}

// GitHub shows the plot on light and on dark pages, so it has no background, and its colors
// are visible on both.
const plotHead = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 880 380" width="880" role="img"
 font-family="sans-serif" font-size="12" fill="#7d8590">
<title>How long a cold build takes: plain, with this buildpack and with Orchestrion</title>
<style>.buildpack{fill:#8b5cf6} .orchestrion{fill:#d97706}</style>
<text y="14">plain go install, <tspan class="buildpack">with this buildpack</tspan>,
<tspan class="orchestrion">with Orchestrion, no integrations</tspan></text>
`

// plot draws how long cold builds of some apps take. It has sides that were measured at
// different times, and a machine is slower at some times than at others. So only the bars of
// plain builds show measured times; the others show the ratios of their pairs.
func (j *journal) plot() string {
	svg, y, longest := plotHead, 30, 0.0
	cold := slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.difference || j.summary(r.orchestrion()).pairs == 0 })
	for _, r := range cold {
		longest = max(longest, j.summary(r).b*1.5)
	}
	for _, r := range cold {
		s, peer := j.summary(r), j.summary(r.orchestrion())
		svg += fmt.Sprintf("<text x=\"330\" y=\"%d\" text-anchor=\"end\">%s</text>\n", y+24, r.what)
		for i, times := range []float64{1, s.mid, peer.mid} {
			side, label := []string{plain, buildpack, orchestrion}[i], fmt.Sprintf("× %.2f", times)
			if side == plain {
				label = r.show(s.b)
			}
			width := int(500 * s.b * times / longest)
			svg += fmt.Sprintf("<rect class=\"%s\" x=\"340\" y=\"%d\" width=\"%d\" height=\"12\"/>", side, y, width)
			svg += fmt.Sprintf("<text class=\"%s\" x=\"%d\" y=\"%d\">%s</text>\n", side, 346+width, y+10, label)
			y += 14
		}
		y += 16
	}
	return svg + "</svg>\n"
}
