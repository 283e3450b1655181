package page

import (
	"bytes"
	"fmt"
	"html"
	"html/template"
	"math"
	"sort"
	"strings"
	"time"

	chart "github.com/wcharczuk/go-chart/v2"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
)

// A figure is a chart of each process: one metric, or two of the same unit.
type figure struct {
	ID, Name, Unit string
	Is             string // what a newcomer would ask
	Bars           bool   // of counters, which start again with each report
	Lines          []line
	Format         func(float64) string
	Binary         bool // whether the axis is divided by powers of two
}

// A line is a metric in a figure. The second one of a figure is dashed.
type line struct {
	Name, Key string
	Value     func(endpoint.Report) float64
}

// figures are in the order of the page.
var figures = []figure{
	{ID: "heap", Name: "Heap", Is: "allocated objects, and the size at which the next collection starts", Format: endpoint.Bytes, Binary: true, Lines: []line{
		{"heap", "go.memory.heap.bytes", func(r endpoint.Report) float64 { return r.HeapBytes }},
		{"GC goal", "go.gc.goal", func(r endpoint.Report) float64 { return r.GCGoal }},
	}},
	{ID: "gcs", Name: "Collections", Unit: "per report", Is: "garbage collections completed since the last delivered report", Bars: true, Format: endpoint.Count, Lines: []line{
		{"collections", "go.gc.collections", func(r endpoint.Report) float64 { return r.Collections }},
	}},
	{ID: "pause", Name: "GC pause", Unit: "per report", Is: "stop-the-world time of the collector since the last delivered report", Bars: true, Format: endpoint.Duration, Lines: []line{
		{"pause", "go.gc.pause.ns", func(r endpoint.Report) float64 { return r.PauseNS }},
	}},
	{ID: "stack", Name: "Stack", Is: "stack spans in use", Format: endpoint.Bytes, Binary: true, Lines: []line{
		{"stack", "go.memory.stack.bytes", func(r endpoint.Report) float64 { return r.StackBytes }},
	}},
	{ID: "objects", Name: "Objects", Is: "live heap objects", Format: endpoint.Count, Lines: []line{
		{"objects", "go.memory.heap.objects", func(r endpoint.Report) float64 { return r.HeapObjects }},
	}},
	{ID: "goroutines", Name: "Goroutines", Is: "running and waiting", Format: endpoint.Count, Lines: []line{
		{"goroutines", "go.routines", func(r endpoint.Report) float64 { return r.Goroutines }},
	}},
}

// The size of a chart. The library draws with whole numbers, so it draws larger
// than a chart is shown, and what it draws is scaled by the view box.
const (
	scale  = 4
	width  = 360 * scale
	height = 132 * scale
)

// plotArea leaves room for the axis labels.
var plotArea = chart.Box{Left: 58 * scale, Top: 8 * scale, Right: width - 6*scale, Bottom: height - 20*scale}

// draw returns the chart as SVG. Everything about its looks is a class for the
// style sheet, since the content security policy allows no style in the document.
func (f figure) draw(cols []column) (template.HTML, error) {
	provide := chart.SVG
	inner, err := provide(width, height)
	if err != nil {
		return "", err
	}
	r := escaping{inner}

	var most float64
	for _, c := range cols {
		for _, l := range f.Lines {
			most = math.Max(most, plottable(l.Value(c.Report)))
		}
	}
	ticks := f.ticks(most)
	y := &chart.ContinuousRange{Max: ticks[len(ticks)-1], Domain: plotArea.Height()}
	for i, t := range ticks {
		class := "grid"
		if i == 0 {
			class = "grid base"
		}
		at := plotArea.Bottom - y.Translate(t)
		stroke(r, class, plotArea.Left, at, plotArea.Right, at)
		text(r, "axis y", plotArea.Left-6*scale, at+4*scale, strings.Replace(f.Format(t), ".0 ", " ", 1))
	}

	x := columnRange(cols)
	if n := len(cols); n > 0 {
		text(r, "axis from", plotArea.Left, height-4*scale, clock(cols[0].Received))
		// A second label needs room for two.
		if end := plotArea.Left + x.Translate(float64(n)); end > plotArea.Left+120*scale {
			text(r, "axis to", end, height-4*scale, clock(cols[n-1].Received))
		}
	}
	silent := silences(cols)
	for j, d := range silent {
		if d > 0 {
			at := plotArea.Left + x.Translate(float64(j))
			stroke(r, "gap", at, plotArea.Top, at, plotArea.Bottom)
		}
	}
	for i, l := range f.Lines {
		class := [...]string{"one", "two"}[i]
		values := chart.ContinuousSeries{}
		for j, c := range cols {
			values.XValues = append(values.XValues, float64(j)+.5)
			values.YValues = append(values.YValues, plottable(l.Value(c.Report)))
		}
		switch {
		case len(cols) == 0:
		case f.Bars:
			for j := range cols {
				left, right := x.Translate(float64(j)), x.Translate(float64(j)+1)
				gap := (right - left) / 6
				r.SetClassName("bar")
				chart.Draw.Box(r, chart.Box{
					Left: plotArea.Left + left + gap, Right: plotArea.Left + right - gap,
					Top: plotArea.Bottom - y.Translate(values.YValues[j]), Bottom: plotArea.Bottom,
				}, chart.Style{ClassName: "bar"})
			}
		default:
			at := func(j int) (int, int) {
				return plotArea.Left + x.Translate(values.XValues[j]), plotArea.Bottom - y.Translate(values.YValues[j])
			}
			last := len(cols) - 1
			left, _ := at(0)
			right, high := at(last)
			if i == 0 {
				r.SetClassName("area")
				r.MoveTo(left, plotArea.Bottom)
				for j := range cols {
					r.LineTo(at(j))
				}
				r.LineTo(right, plotArea.Bottom)
				r.Close()
				r.Fill()
			}
			style := chart.Style{ClassName: "series " + class, StrokeWidth: 1, StrokeColor: chart.ColorBlack}
			chart.Draw.LineSeries(r, plotArea, x, y, style, values)
			r.SetClassName("end " + class) // a single report makes no line
			r.Circle(3*scale, right, high)
		}
	}

	var svg bytes.Buffer
	if err := r.Save(&svg); err != nil {
		return "", err
	}
	out := bytes.TrimSuffix(svg.Bytes(), []byte("</svg>"))
	if len(out) == svg.Len() {
		return "", fmt.Errorf("drawing %s: the chart library wrote no complete SVG", f.ID)
	}
	// What the pointer meets: each column with its values in words.
	var b bytes.Buffer
	b.Write(out)
	b.WriteString(`<g class="hits">`)
	for j, c := range cols {
		left, right := x.Translate(float64(j)), x.Translate(float64(j)+1)
		fmt.Fprintf(&b, `<rect class="hit" data-n="%d" x="%d" y="%d" width="%d" height="%d"><title>%s</title></rect>`,
			c.N, plotArea.Left+left, plotArea.Top, right-left, plotArea.Height(), html.EscapeString(f.says(c, silent[j])))
	}
	b.WriteString("</g></svg>")
	return template.HTML(b.String()), nil
}

// says puts a column, and the silence before it, into words.
func (f figure) says(c column, silent time.Duration) string {
	s := clock(c.Received)
	if silent > 0 {
		s += fmt.Sprintf(", after %.0f s of silence", silent.Seconds())
	}
	if c.Of > 1 {
		s += fmt.Sprintf(", highest of %d", c.Of)
	}
	for i, l := range f.Lines {
		s += [...]string{"  ", ", "}[i] + l.Name + " " + f.Format(l.Value(c.Report))
	}
	return s
}

// silences returns how long nothing was delivered before each column, where that
// is out of the ordinary, and otherwise 0.
func silences(cols []column) []time.Duration {
	if len(cols) < 2 {
		return make([]time.Duration, len(cols))
	}
	between := make([]time.Duration, len(cols))
	for j := 1; j < len(cols); j++ {
		between[j] = cols[j].Received.Sub(cols[j-1].Received)
	}
	sorted := append([]time.Duration(nil), between[1:]...)
	sort.Slice(sorted, func(i, j int) bool { return sorted[i] < sorted[j] })
	usual := sorted[len(sorted)/2]
	for j, d := range between {
		if d <= usual*7/4 {
			between[j] = 0
		}
	}
	return between
}

// ticks returns the values at which the vertical axis is labelled: 0, and two to
// four more, the last of which is not below most.
func (f figure) ticks(most float64) []float64 {
	if most <= 0 {
		most = 1
	}
	if f.Format(1) == "1ns" && most < 1000 {
		most = 1000
	}
	step := niceStep(most/4, f.Binary)
	ticks := []float64{0}
	for t := step; ; t += step {
		ticks = append(ticks, t)
		if t >= most {
			return ticks
		}
	}
}

// niceStep returns the lowest round number that is not below least. Counts have no
// parts, so it is at least 1.
func niceStep(least float64, binary bool) float64 {
	if least <= 1 {
		return 1
	}
	if binary {
		return math.Pow(2, math.Ceil(math.Log2(least)))
	}
	ten := math.Pow(10, math.Floor(math.Log10(least)))
	for _, m := range []float64{1, 2, 5} {
		if m*ten >= least {
			return m * ten
		}
	}
	return 10 * ten
}

// plottable keeps a process from making a chart that cannot be drawn.
func plottable(v float64) float64 { return math.Min(v, 1e15) }

// columnRange places columns side by side. A few do not fill the whole width, so
// that a chart grows as reports come.
func columnRange(cols []column) *chart.ContinuousRange {
	return &chart.ContinuousRange{Max: math.Max(30, float64(len(cols))), Domain: plotArea.Width()}
}

func clock(t time.Time) string { return t.Format("15:04:05") }

func stroke(r chart.Renderer, class string, x0, y0, x1, y1 int) {
	r.SetClassName(class)
	r.MoveTo(x0, y0)
	r.LineTo(x1, y1)
	r.Stroke()
}

func text(r chart.Renderer, class string, x, y int, s string) {
	r.SetClassName(class)
	r.Text(s, x, y)
}

// escaping escapes text, which the library's SVG renderer writes as it is.
type escaping struct{ chart.Renderer }

func (e escaping) Text(body string, x, y int) { e.Renderer.Text(html.EscapeString(body), x, y) }
