package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"

	chart "github.com/wcharczuk/go-chart/v2"
	"github.com/wcharczuk/go-chart/v2/drawing"
)

// The plot is shown on GitHub's light pages and on its dark ones, so it has no
// background, and all its colours are told from both white and black.
var (
	textColour = drawing.ColorFromHex("7d8590")
	gridColour = textColour.WithAlpha(60)

	// Lines differ in width and dash too: plain lies under the buildpack's.
	lines = []struct {
		side, label string
		style       chart.Style
	}{
		{plain, "plain go install", chart.Style{StrokeColor: textColour.WithAlpha(130), StrokeWidth: 9}},
		{buildpack, "with this buildpack", chart.Style{StrokeColor: drawing.ColorFromHex("8b5cf6"), StrokeWidth: 2.5, DotColor: drawing.ColorFromHex("8b5cf6"), DotWidth: 4}},
		{orchestrion, "with Orchestrion, no integrations", chart.Style{StrokeColor: drawing.ColorFromHex("d97706"), StrokeWidth: 2, StrokeDashArray: []float64{6, 4}, DotColor: drawing.ColorFromHex("d97706"), DotWidth: 3}},
	}
)

const (
	panelWidth, panelHeight = 440, 320
	fontSize                = 9.5 // points
)

// plot draws how long cold builds take by the size of the app. Sides that were
// measured at different times stand in one picture, and a machine is slower at
// some times than at others: only what plain builds take is drawn as it was
// measured, the other lines by how their pairs compared.
func plot(w io.Writer, j *journal) error {
	left, err := panel{name: "packages besides the standard library", logarithmic: true, legend: true, points: []point{
		{"cold/10", 10}, {"cold/100", 100}, {"cold/1000", 1000},
	}}.svg(j)
	if err != nil {
		return err
	}
	right, err := panel{name: "main packages of a web app", points: []point{
		{"cold/web", 1}, {"mains/5", 5}, {"mains/20", 20},
	}}.svg(j)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %[1]d %[2]d" width="%[1]d" role="img"><title>How long a cold build takes: plain, with this buildpack and with Orchestrion</title>%[3]s%[4]s</svg>`+"\n",
		2*panelWidth, panelHeight, placed(left, 0), placed(right, panelWidth))
	return err
}

// placed returns a chart as a part of a wider picture.
func placed(svg string, x int) string {
	return strings.Replace(svg, "<svg ", fmt.Sprintf(`<svg x="%d" y="0" width="%d" height="%d" `, x, panelWidth, panelHeight), 1)
}

// A panel is one chart of the picture.
type panel struct {
	name        string // of its x axis
	logarithmic bool
	legend      bool
	points      []point
}

// A point is a row and its place on the x axis.
type point struct {
	row string
	x   float64
}

func (p panel) svg(j *journal) (string, error) {
	place := func(x float64) float64 {
		if p.logarithmic {
			return math.Log10(x)
		}
		return x
	}
	var series, notes []chart.Series
	var ticks []chart.Tick
	highest := 0.0
	for _, at := range p.points {
		ticks = append(ticks, chart.Tick{Value: place(at.x), Label: thousands(at.x)})
	}
	for _, line := range lines {
		s := chart.ContinuousSeries{Name: line.label, Style: line.style}
		var labels []chart.Value2
		for _, at := range p.points {
			beside, err := j.summary(at.row)
			if err != nil {
				return "", err
			}
			compared := beside
			if line.side == orchestrion {
				if compared, err = j.summary(peer(at.row)); err != nil {
					return "", err
				}
			}
			if beside.pairs == 0 || compared.pairs == 0 {
				continue
			}
			y := beside.b
			if line.side != plain {
				y *= compared.mid
				labels = append(labels, chart.Value2{XValue: place(at.x), YValue: y, Label: fmt.Sprintf("× %.2f", compared.mid)})
			}
			s.XValues, s.YValues = append(s.XValues, place(at.x)), append(s.YValues, y)
			highest = math.Max(highest, y)
		}
		if len(s.XValues) == 0 {
			continue
		}
		if len(s.XValues) == 1 { // a line needs two points
			s.XValues, s.YValues = append(s.XValues, s.XValues[0]), append(s.YValues, s.YValues[0])
		}
		series = append(series, s)
		notes = append(notes, labelled{labels, line.side == buildpack, line.style.DotColor})
	}
	if len(series) == 0 {
		return "", errors.New("there is no reading to plot: measure the rows cold/ and mains/, or name with -json a file that has them")
	}

	text := chart.Style{FontColor: textColour, FontSize: fontSize, StrokeColor: textColour, StrokeWidth: 1}
	step := niceStep(highest)
	top := math.Ceil(highest*1.12/step) * step
	var rises []chart.Tick
	var grid []chart.GridLine
	for y := 0.0; y <= top+step/2; y += step {
		rises = append(rises, chart.Tick{Value: y, Label: fmt.Sprintf("%g s", y)})
		grid = append(grid, chart.GridLine{Value: y})
	}
	// The axis reaches from the first tick to the last, so room beside the
	// points takes ticks without a label.
	first, last := ticks[0].Value, ticks[len(ticks)-1].Value
	margin := (last - first) * 0.1
	ticks = append(append([]chart.Tick{{Value: first - margin}}, ticks...), chart.Tick{Value: last + margin})
	c := chart.Chart{
		Width: panelWidth, Height: panelHeight,
		Background: chart.Style{FillColor: chart.ColorTransparent, Padding: chart.Box{Top: 12, Left: 14, Right: 14, Bottom: 8}},
		Canvas:     chart.Style{FillColor: chart.ColorTransparent},
		XAxis: chart.XAxis{
			Name: p.name, NameStyle: text, Style: text, Ticks: ticks,
			Range:          &chart.ContinuousRange{Min: first - margin, Max: last + margin},
			GridMajorStyle: chart.Hidden(), GridMinorStyle: chart.Hidden(),
		},
		YAxis: chart.YAxis{
			Style: text, Ticks: rises, GridLines: grid, AxisType: chart.YAxisSecondary,
			Range:          &chart.ContinuousRange{Min: 0, Max: top},
			GridMajorStyle: chart.Style{StrokeColor: gridColour, StrokeWidth: 1},
			GridMinorStyle: chart.Hidden(),
		},
		Series: append(series, notes...),
	}
	if p.legend {
		c.Elements = []chart.Renderable{chart.Legend(&c, chart.Style{
			FillColor: chart.ColorTransparent, StrokeColor: chart.ColorTransparent, FontColor: textColour, FontSize: fontSize,
		})}
	}
	var svg bytes.Buffer
	err := c.Render(chart.SVG, &svg)
	return svg.String(), err
}

// niceStep returns the distance of about five lines up to the highest value.
func niceStep(highest float64) float64 {
	step := math.Pow(10, math.Floor(math.Log10(highest/4)))
	for _, times := range []float64{1, 2, 5, 10} {
		if step*times >= highest/6 {
			return step * times
		}
	}
	return step * 10
}

func thousands(x float64) string {
	if x >= 1000 {
		return fmt.Sprintf("%d,%03d", int(x)/1000, int(x)%1000)
	}
	return fmt.Sprintf("%.0f", x)
}

// labelled are texts at points, under them or over them, without the boxes of
// chart.AnnotationSeries.
type labelled struct {
	values []chart.Value2
	below  bool
	colour drawing.Color
}

func (labelled) GetName() string           { return "" }
func (labelled) GetYAxis() chart.YAxisType { return chart.YAxisPrimary }
func (labelled) GetStyle() chart.Style     { return chart.Style{} }
func (labelled) Validate() error           { return nil }
func (l labelled) Render(r chart.Renderer, canvas chart.Box, xs, ys chart.Range, defaults chart.Style) {
	style := chart.Style{Font: defaults.Font, FontSize: fontSize, FontColor: l.colour}
	for _, v := range l.values {
		style.WriteTextOptionsToRenderer(r)
		box := r.MeasureText(v.Label)
		y := canvas.Bottom - ys.Translate(v.YValue) - 9
		if l.below {
			y += 18 + box.Height()
		}
		r.Text(v.Label, canvas.Left+xs.Translate(v.XValue)-box.Width()/2, y)
	}
}
