// Package otlp compares the agent's exports with OpenTelemetry's code. OpenTelemetry's generated
// types decode them, and its SDK with contrib's runtime instrumentation exports the same in the
// same process. This is a module of its own to keep that code out of the agent's module.
package otlp

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/dsnet/try"
	_ "github.com/hmetrics/heroku-buildpack-go-metrics/agent/onload"
	contrib "go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/sdk/metric"
	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	pb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"
)

// sdkExports is the variable that makes this process export.
const sdkExports = "SDK_EXPORTS"

func TestMain(m *testing.M) {
	if os.Getenv(sdkExports) != "" {
		export()
		return
	}
	os.Exit(m.Run())
}

// export does some work while the SDK exports contrib's instrumentation, until standard input
// ends. The agent is in this process too, with the same variables.
func export() {
	exporter := try.E1(otlpmetrichttp.New(context.Background()))
	fresh := contrib.WithMinimumReadMemStatsInterval(time.Millisecond)
	histogram := metric.WithProducer(contrib.NewProducer(fresh.(contrib.ProducerOption)))
	reader := metric.NewPeriodicReader(exporter, metric.WithInterval(200*time.Millisecond), histogram)
	provider := metric.NewMeterProvider(metric.WithReader(reader))
	try.E(contrib.Start(contrib.WithMeterProvider(provider), fresh))
	var kept [][]byte
	go func() {
		for range time.Tick(time.Millisecond) {
			kept = append(kept[:len(kept)%100], make([]byte, 10<<10))
		}
	}()
	go func() {
		for range time.Tick(50 * time.Millisecond) {
			runtime.GC()
		}
	}()
	io.Copy(io.Discard, os.Stdin)
	try.E(provider.Shutdown(context.Background()))
}

// A received is one export of the agent or the SDK.
type received struct {
	byAgent  bool
	resource map[string]string
	points   map[string]point
}

// receive decodes a request with OpenTelemetry's types, which must know every field.
func receive(r *http.Request) (got received, err error) {
	defer try.Handle(&err)
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		body = try.E1(gzip.NewReader(r.Body))
	}
	document := try.E1(io.ReadAll(body))
	request, known := new(collector.ExportMetricsServiceRequest), new(collector.ExportMetricsServiceRequest)
	try.E(proto.Unmarshal(document, request))
	try.E(proto.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(document, known))
	if !proto.Equal(request, known) {
		return got, fmt.Errorf("it has unknown fields: %v", request)
	}
	if r.RequestURI != "/base/v1/metrics" {
		return got, fmt.Errorf("it went to %s", r.RequestURI)
	}
	got = received{byAgent: !strings.HasPrefix(r.UserAgent(), "OTel"), resource: map[string]string{}, points: points(request)}
	for _, a := range request.ResourceMetrics[0].Resource.Attributes {
		got.resource[a.Key] = a.Value.GetStringValue()
	}
	return got, nil
}

// run exports with both from one process until there are n exports of the agent, and two of the
// SDK after the last of them.
func run(t *testing.T, n int, env ...string) (agent, sdk []received) {
	all := make(chan received, 1000)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, err := receive(r)
		if err != nil {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		w.Header().Set("Content-Type", "application/x-protobuf") // of an empty answer
		all <- got
	}))
	defer server.Close()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append([]string{"GOGC=150", "GOMEMLIMIT=1GiB", "OTEL_METRIC_EXPORT_INTERVAL=1000",
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + server.URL + "/base/?key=x#there", sdkExports + "=1"}, env...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	stdin := try.E1(cmd.StdinPipe())
	try.E(cmd.Start())
	late := time.After(time.Minute)
	totals := map[bool]map[string]point{true: {}, false: {}}
	for after := 0; after < 2; {
		select {
		case got := <-all:
			got.total(t, totals[got.byAgent])
			if got.byAgent {
				agent = append(agent, got)
				break
			}
			sdk = append(sdk, got)
			if len(agent) >= n {
				after++
			}
		case <-late:
			t.Fatalf("%d exports by the agent, %d by the SDK", len(agent), len(sdk))
		}
	}
	stdin.Close()
	try.E(cmd.Wait())
	return agent, sdk
}

// A point is a point of one metric with one set of attributes.
type point struct {
	unit, kind string
	value      float64 // of a histogram the count
	start, at  uint64
}

func (p point) delta() bool {
	return strings.Contains(p.kind, pb.AggregationTemporality_AGGREGATION_TEMPORALITY_DELTA.String())
}

// total adds the previous totals to points that are deltas. Each delta must begin where the
// previous one ended.
func (r received) total(t *testing.T, before map[string]point) {
	for name, p := range r.points {
		if last, ok := before[name]; ok && p.delta() {
			if p.value += last.value; p.start != last.at {
				t.Errorf("%s, by the agent %v: a delta from %d on, after one up to %d", name, r.byAgent, p.start, last.at)
			}
		}
		r.points[name], before[name] = p, p
	}
}

func points(request *collector.ExportMetricsServiceRequest) map[string]point {
	all := map[string]point{}
	for _, r := range request.ResourceMetrics {
		for _, s := range r.ScopeMetrics {
			for _, m := range s.Metrics {
				switch data := m.Data.(type) {
				case *pb.Metric_Sum:
					for _, p := range data.Sum.DataPoints {
						name := m.Name
						for _, a := range p.Attributes {
							name += "{" + a.Key + "=" + a.Value.GetStringValue() + "}"
						}
						kind := fmt.Sprintf("%s, monotonic %v, %T", data.Sum.AggregationTemporality, data.Sum.IsMonotonic, p.Value)
						all[name] = point{m.Unit, kind, float64(p.GetAsInt()) + p.GetAsDouble(), p.StartTimeUnixNano, p.TimeUnixNano}
					}
				case *pb.Metric_Histogram:
					for _, p := range data.Histogram.DataPoints {
						kind := "histogram, " + data.Histogram.AggregationTemporality.String()
						all[m.Name] = point{m.Unit, kind, float64(p.Count), p.StartTimeUnixNano, p.TimeUnixNano}
					}
				default:
					all[m.Name] = point{kind: fmt.Sprintf("%T", data)}
				}
			}
		}
	}
	return all
}

// In one process, the agent exports everything that contrib's instrumentation exports, with the
// same names, units and kinds, and with values between the SDK's values before and after.
// OpenTelemetry's types decode the exports, compressed or not. For the comparison, the deltas
// of the agent and the SDK are added up.
func TestBesideTheSDK(t *testing.T) {
	for _, variable := range []string{"COMPRESSION=none", "COMPRESSION=gzip", "METRICS_TEMPORALITY_PREFERENCE=Delta", "METRICS_TEMPORALITY_PREFERENCE=lowmemory"} {
		t.Run(variable, func(t *testing.T) {
			agent, sdk := run(t, 4, "OTEL_EXPORTER_OTLP_"+variable,
				"OTEL_SERVICE_NAME=é", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test")
			compared := map[string]int{}
			for _, export := range agent {
				if r := export.resource; r["service.name"] != "é" || r["deployment.environment.name"] != "test" || r["telemetry.sdk.language"] != "go" {
					t.Errorf("the resource is %v", r)
				}
				for name := range sdk[len(sdk)-1].points {
					p, ok := export.points[name]
					if !ok {
						t.Errorf("the agent has no %s", name)
						continue
					}
					if compare(t, name, p, sdk) {
						compared[name]++
					}
				}
			}
			for name := range sdk[len(sdk)-1].points {
				if name == "go.schedule.duration" && !agent[0].points[name].delta() == strings.Contains(variable, "PREFERENCE") {
					t.Errorf("%s is %s", name, agent[0].points[name].kind)
				}
				if compared[name] < 2 {
					t.Errorf("%s was compared %d times", name, compared[name])
				}
			}
			t.Logf("compared: %v", compared)
		})
	}
}

// compare reports whether the SDK exported the metric before and after the agent's point.
func compare(t *testing.T, name string, p point, sdk []received) bool {
	low, high := math.Inf(-1), math.Inf(1)
	for _, export := range sdk {
		o, ok := export.points[name]
		if !ok {
			continue
		}
		// contrib's producer of this one heeds no preference.
		if same := name == "go.schedule.duration" && p.delta() || o.kind == p.kind; o.unit != p.unit || !same {
			t.Errorf("%s: %s %s, the SDK has %s %s", name, p.unit, p.kind, o.unit, o.kind)
		}
		if export.points["go.goroutine.count"].at <= p.at { // contrib's histogram has an earlier time
			low = o.value
		} else if math.IsInf(high, 1) {
			high = o.value
		}
	}
	if math.IsInf(low, -1) || math.IsInf(high, 1) {
		return false
	}
	if !strings.Contains(p.kind, "monotonic true") && !strings.HasPrefix(p.kind, "histogram") { // it went up or down between
		low, high = math.Min(low, high)/1.5-1, math.Max(low, high)*1.5+5
	}
	if p.value < low || p.value > high {
		t.Errorf("%s: %v, the SDK had %v before and %v after", name, p.value, low, high)
	}
	return true
}
