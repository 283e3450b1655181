package main

import (
	"bytes"
	"fmt"

	chart "github.com/wcharczuk/go-chart/v2"
	"github.com/wcharczuk/go-chart/v2/drawing"
)

// plot draws the reports that arrive from the start of all dynos on, and the memory
// that the Collector takes for that, for light pages and dark ones.
func (l *launcher) plot(moments []moment) ([]byte, error) {
	text := chart.Style{FontColor: drawing.ColorFromHex("7d8590"), StrokeColor: drawing.ColorFromHex("7d8590"), FontSize: 9}
	clear := chart.Style{FillColor: chart.ColorTransparent}
	legend := text
	legend.FillColor = chart.ColorTransparent
	whole := func(v any) string { return fmt.Sprintf("%.0f", v) }
	c := chart.Chart{
		Width: 880, Height: 300, Canvas: clear,
		Background: chart.Style{FillColor: chart.ColorTransparent, Padding: chart.Box{Top: 40, Left: 10, Right: 10, Bottom: 10}},
		XAxis: chart.XAxis{
			Name: fmt.Sprintf("intervals of %g s since %s dynos were started at once", l.interval.Seconds(), number(float64(l.dynos))), NameStyle: text, Style: text,
			ValueFormatter: whole, Ticks: []chart.Tick{{Value: 0, Label: "0"}, {Value: 1, Label: "1"}, {Value: 2, Label: "2"}, {Value: 3, Label: "3"}, {Value: 4, Label: "4"}},
		},
	}
	draw := func(axis *chart.YAxis, kind chart.YAxisType, name, colour string, y func(moment) float64) {
		s := chart.ContinuousSeries{Name: name, YAxis: kind, Style: chart.Style{StrokeColor: drawing.ColorFromHex(colour), StrokeWidth: 1.5}}
		highest := 0.0
		for i, m := range moments {
			s.XValues, s.YValues = append(s.XValues, float64(i+1)/60), append(s.YValues, y(m))
			highest = max(highest, y(m))
		}
		*axis = chart.YAxis{Style: text, ValueFormatter: whole, Range: &chart.ContinuousRange{Min: 0, Max: 1.1 * highest}}
		c.Series = append(c.Series, s)
	}
	draw(&c.YAxis, chart.YAxisPrimary, "reports a second, right", "8b5cf6", func(m moment) float64 { return m.reports })
	draw(&c.YAxisSecondary, chart.YAxisSecondary, "memory of the Collector, MB, left", "d97706", func(m moment) float64 { return m.collector.megabytes })
	c.Elements = []chart.Renderable{chart.Legend(&c, legend)}
	var svg bytes.Buffer
	err := c.Render(chart.SVG, &svg)
	return svg.Bytes(), err
}
