// Command dashboard prints the Grafana dashboard in test/fleet. To change it, edit the
// panels here and run
//
//	cd test/dashboard && GOWORK=off go run . >../fleet/dashboard.json
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/dsnet/try"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// A panel charts the answer to a question. Ranges are at least five minutes long: with one
// export a minute, Grafana's own $__rate_interval may hold a single point.
type panel struct {
	title, description, unit, legend string
	promql                           string
	alert                            float64 // threshold of the alert in ../fleet/rules.yaml; 0: none
}

var panels = []panel{
	{"Memory of each process", "In use by the Go runtime, stacks included.", units.BytesIEC, "{{instance}}",
		`sum by (job, instance) (go_memory_used_bytes)`, 0},
	{"Memory as a share of its limit", "Empty without GOMEMLIMIT. Above 90 %, the collector runs more and more often.", units.PercentUnit, "{{instance}}",
		`sum by (job, instance) (go_memory_used_bytes) / on (job, instance) go_memory_limit_bytes`, 0.9},
	{"Bytes allocated per second", "What the collector has to keep up with.", units.BytesPerSecondIEC, "{{job}}",
		`sum by (job) (rate(go_memory_allocated_bytes_total[5m]))`, 0},
	{"Garbage collector's share of the CPU time", "Of the time that is not idle.", units.PercentUnit, "{{job}}",
		`sum by (job) (rate(go_cpu_time_seconds_total{go_cpu_state="gc"}[5m])) / sum by (job) (rate(go_cpu_time_seconds_total{go_cpu_state!="idle"}[5m]))`, 0.1},
	{"99th percentile of the wait for a processor", "How long runnable goroutines wait.", units.Seconds, "{{job}}",
		`histogram_quantile(0.99, sum by (job, le) (rate(go_schedule_duration_seconds_bucket[5m])))`, 0.0168},
	{"Processes of each dyno in three hours", "Each start of a process is a new instance.", units.Short, "{{job}} {{dyno}}",
		`count by (job, dyno) (label_replace(count_over_time(go_goroutine_count{instance=~".+[.].+"}[3h]), "dyno", "$1", "instance", "(.+)[.].+"))`, 5},
	{"Goroutines", "Running and waiting.", units.Short, "{{instance}}",
		`go_goroutine_count`, 0},
	{"Goroutines gained per second, over an hour", "A leak stays above zero.", units.Short, "{{instance}}",
		`deriv(go_goroutine_count[1h]) > 0`, 0},
}

func main() {
	if len(os.Args) > 1 {
		fmt.Fprint(os.Stderr, "Print the Grafana dashboard in test/fleet. Usage, in test/dashboard:\n\n\tGOWORK=off go run . >../fleet/dashboard.json\n")
		os.Exit(2)
	}
	os.Stdout.Write(try.E1(generate()))
}

func generate() (_ []byte, err error) {
	defer try.Handle(&err)
	source := common.DataSourceRef{Type: pointer("prometheus"), Uid: pointer("${datasource}")}
	//lint:ignore SA1019 every Grafana imports this form; its replacement needs Grafana 12
	d := dashboard.NewDashboardBuilder("Go runtime").
		Uid("heroku-go-metrics").
		Description("What heroku-buildpack-go-metrics sends by OTLP.").
		Tags([]string{"go", "heroku"}).
		Time("now-6h", "now").Refresh("1m").
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Prometheus").Type("prometheus")).
		// Grafana adds these to every query: job="my-app".
		WithVariable(dashboard.NewAdHocVariableBuilder("filters").Label("Filters").Datasource(source))
	for _, p := range panels {
		b := timeseries.NewPanelBuilder().
			Title(p.title).Description(p.description).Datasource(source).
			Unit(p.unit).Min(0).Span(12).Height(8).FillOpacity(10).
			Legend(common.NewVizLegendOptionsBuilder().ShowLegend(true).DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom)).
			Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending)).
			WithTarget(prometheus.NewDataqueryBuilder().RefId("A").Expr(p.promql).LegendFormat(p.legend).Range())
		if p.alert > 0 {
			b.Thresholds(dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).
				Steps([]dashboard.Threshold{{Color: "green"}, {Color: "red", Value: &p.alert}})).
				ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed))
		}
		d.WithPanel(b)
	}
	document := try.E1(json.MarshalIndent(try.E1(d.Build()), "", "  "))
	return append(document, '\n'), nil
}

func pointer(s string) *string { return &s }
