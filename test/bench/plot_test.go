package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"text/template"
)

// The plot is shown on GitHub's light pages and on its dark ones, so it has no background,
// and all its colours are told from both white and black. Lines differ in width and dash
// too: plain lies under the buildpack's.
var plotTemplate = template.Must(template.New("").Parse(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 880 320" width="880" role="img" font-family="sans-serif" font-size="12" fill="#7d8590" text-anchor="middle">
<title>How long a cold build takes: plain, with this buildpack and with Orchestrion</title>
<style>
.grid{stroke:#7d8590;stroke-opacity:.25} polyline{fill:none} .plain{stroke:#7d8590;stroke-opacity:.5;stroke-width:9}
.buildpack{stroke:#8b5cf6;stroke-width:2.5}
.orchestrion{stroke:#d97706;stroke-width:2;stroke-dasharray:6 4}
circle.buildpack,text.buildpack{fill:#8b5cf6;stroke:none} circle.orchestrion,text.orchestrion{fill:#d97706;stroke:none}
</style>
{{range .}}<g transform="translate({{.Left}})">
{{range .Grid}}<line class="grid" x1="50" x2="420" y1="{{.Y}}" y2="{{.Y}}"/><text x="44" y="{{.Y}}" dy="4" text-anchor="end">{{.Label}}</text>
{{end}}{{range .Ticks}}<text x="{{.X}}" y="286">{{.Label}}</text>
{{end}}<text x="235" y="308">{{.Name}}</text>
{{range $line := .Lines}}<polyline class="{{.Side}}" points="{{range .Points}}{{.X}},{{.Y}} {{end}}"/>
{{range .Points}}{{if .Label}}<circle class="{{$line.Side}}" cx="{{.X}}" cy="{{.Y}}" r="3"/><text class="{{$line.Side}}" x="{{.X}}" y="{{.Y}}" dy="{{$line.Shift}}">{{.Label}}</text>
{{end}}{{end}}{{end}}</g>
{{end}}<g text-anchor="start">
<line class="plain" x1="64" x2="92" y1="24" y2="24"/><text x="100" y="28">plain go install</text>
<line class="buildpack" x1="64" x2="92" y1="44" y2="44"/><text x="100" y="48">with this buildpack</text>
<line class="orchestrion" x1="64" x2="92" y1="64" y2="64"/><text x="100" y="68">with Orchestrion, no integrations</text>
</g>
</svg>
`))

type plotPoint struct {
	X, Y  int // pixels
	Label string
}

type plotLine struct {
	Side   string
	Shift  int // of the labels
	Points []plotPoint
}

type plotPanel struct {
	Left        int
	Name        string
	Grid, Ticks []plotPoint
	Lines       []plotLine
}

// plot draws how long cold builds take by the size of the app. Sides that were measured at
// different times stand in one picture, and a machine is slower at some times than at
// others: only what plain builds take is drawn as it was measured, the other lines by how
// their pairs compared.
func (j *journal) plot() (string, error) {
	var out strings.Builder
	err := plotTemplate.Execute(&out, []plotPanel{
		j.panel(0, "packages besides the standard library", math.Log10, map[string]float64{"cold/10": 10, "cold/100": 100, "cold/1000": 1000}),
		j.panel(440, "main packages of a web app", math.Abs, map[string]float64{"cold/web": 1, "mains/5": 5, "mains/20": 20}),
	})
	return out.String(), err
}

// panel draws rows by the size of their apps.
func (j *journal) panel(left int, name string, place func(size float64) float64, sizes map[string]float64) plotPanel {
	p := plotPanel{Left: left, Name: name, Lines: []plotLine{{Side: plain}, {Side: buildpack, Shift: 26}, {Side: orchestrion, Shift: -9}}}
	of := slices.DeleteFunc(rows(), func(r row) bool { return sizes[r.name] == 0 })
	slices.SortFunc(of, func(a, b row) int { return cmp.Compare(sizes[a.name], sizes[b.name]) })
	step, highest := 1.0, 0.0
	for _, r := range of {
		s := j.summary(r)
		highest = max(highest, s.b, s.b*s.mid, s.b*j.summary(r.orchestrion()).mid)
	}
	for _, next := range []float64{2, 5, 10, 20, 50, 100} {
		if highest/step > 6 {
			step = next
		}
	}
	top := math.Ceil(highest*1.12/step) * step
	y := func(seconds float64) int { return int(math.Round(268 - 250*seconds/top)) }
	for s := 0.0; s <= top; s += step {
		p.Grid = append(p.Grid, plotPoint{Y: y(s), Label: fmt.Sprintf("%g s", s)})
	}
	first, last := place(sizes[of[0].name]), place(sizes[of[len(of)-1].name])
	for _, r := range of {
		x := int(math.Round(80 + 310*(place(sizes[r.name])-first)/(last-first)))
		p.Ticks = append(p.Ticks, plotPoint{X: x, Label: strings.Replace(fmt.Sprint(sizes[r.name]), "1000", "1,000", 1)})
		s, peer := j.summary(r), j.summary(r.orchestrion())
		for i, of := range []summary{{pairs: s.pairs, mid: 1}, s, peer} {
			label := fmt.Sprintf("× %.2f", of.mid)
			if i == 0 {
				label = ""
			}
			if s.pairs > 0 && of.pairs > 0 {
				p.Lines[i].Points = append(p.Lines[i].Points, plotPoint{x, y(s.b * of.mid), label})
			}
		}
	}
	return p
}
