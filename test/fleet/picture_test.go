package fleet

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/dsnet/try"
	"github.com/dustin/go-humanize"
	"github.com/prometheus/common/model"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// A panel is one of the dashboard's.
type panel struct {
	Title       string
	Targets     []struct{ Expr string }
	FieldConfig struct{ Defaults struct{ Unit string } }
}

// panels returns the panels of the dashboard.
func (f *fleet) panels() []panel {
	var dashboard struct{ Panels []panel }
	try.E(json.Unmarshal(try.E1(os.ReadFile(f.root+"/test/fleet/dashboard.json")), &dashboard))
	return dashboard.Panels
}

// draw writes a picture of what the dashboard shows of the time since began.
func (f *fleet) draw(name string, began time.Time) {
	const columns = 2
	plot.DefaultFont.Variant = "Sans"
	panels, end := f.panels(), time.Now()
	rows := (len(panels) + columns - 1) / columns
	image := vgimg.NewWith(vgimg.UseWH(columns*14*vg.Centimeter, vg.Length(rows)*6*vg.Centimeter), vgimg.UseDPI(110))
	tiles := draw.Tiles{Rows: rows, Cols: columns, PadX: vg.Centimeter / 2, PadY: vg.Centimeter / 2, PadTop: vg.Centimeter / 4, PadRight: vg.Centimeter / 2}
	for i, p := range panels {
		chart := plot.New()
		chart.Title.Text, chart.Y.Min = p.Title, 0
		chart.Title.TextStyle.Font.Size = 11
		chart.X.Tick.Marker = plot.TimeTicks{Format: "15:04"}
		chart.Y.Tick.Marker = unit(p.FieldConfig.Defaults.Unit)
		chart.Add(plotter.NewGrid())
		for _, t := range p.Targets {
			for n, series := range f.askRange(t.Expr, began, end) {
				points := make(plotter.XYs, len(series.Values))
				for j, v := range series.Values {
					points[j] = plotter.XY{X: float64(v.Timestamp) / 1000, Y: float64(v.Value)}
				}
				line := try.E1(plotter.NewLine(points))
				line.Color = plotutil.Color(n)
				chart.Add(line)
			}
		}
		chart.Draw(tiles.At(draw.New(image), i%columns, i/columns))
	}
	file := try.E1(os.Create(name))
	defer file.Close()
	try.E1(vgimg.PngCanvas{Canvas: image}.WriteTo(file))
}

// unit writes the values of an axis in a unit, by Grafana's name for it.
type unit string

func (u unit) Ticks(low, high float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(low, high)
	for i, t := range ticks {
		if t.Label == "" {
			continue
		}
		switch u {
		case "bytes", "binBps":
			ticks[i].Label = humanize.IBytes(uint64(t.Value))
		case "percentunit":
			ticks[i].Label = fmt.Sprintf("%.3g %%", 100*t.Value)
		case "s":
			ticks[i].Label = humanize.SIWithDigits(t.Value, 3, "s")
		default:
			ticks[i].Label = humanize.Ftoa(t.Value)
		}
	}
	return ticks
}

// askRange evaluates PromQL at a hundred times.
func (f *fleet) askRange(promql string, start, end time.Time) model.Matrix {
	var answer struct {
		Error string
		Data  struct{ Result model.Matrix }
	}
	query := url.Values{"query": {promql}, "start": {fmt.Sprint(start.Unix())}, "end": {fmt.Sprint(end.Unix())}, "step": {fmt.Sprint(end.Sub(start).Seconds() / 100)}}
	try.E(json.Unmarshal(get(f.url+"/api/v1/query_range?"+query.Encode()), &answer))
	if answer.Error != "" {
		try.E(fmt.Errorf("%s: %s", promql, answer.Error))
	}
	return answer.Data.Result
}
