// Package otlp holds what the agent sends by OTLP beside OpenTelemetry's own code:
// its generated types, which decode it, and its SDK with contrib's runtime
// instrumentation, which sends the same in the same process. It is a module of its
// own to keep those out of the agent's.
package otlp

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"log"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/hmetrics/heroku-buildpack-go-metrics/agent/onload"
	contrib "go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	sdk "go.opentelemetry.io/otel/sdk/metric"
	collector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	pb "go.opentelemetry.io/proto/otlp/metrics/v1"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// sdkEndpoint is where this process's SDK is to export to, if it is the one that
// is looked at.
const sdkEndpoint = "SDK_ENDPOINT"

func TestMain(m *testing.M) {
	if url := os.Getenv(sdkEndpoint); url != "" {
		if err := export(url); err != nil {
			log.Fatal(err)
		}
		return
	}
	os.Exit(m.Run())
}

// export works and has contrib's instrumentation exported by the SDK, until
// standard input ends. The agent is in this process too.
func export(url string) error {
	exporter, err := otlpmetrichttp.New(context.Background(), otlpmetrichttp.WithEndpointURL(url))
	if err != nil {
		return err
	}
	fresh := contrib.WithMinimumReadMemStatsInterval(time.Millisecond)
	reader := sdk.NewPeriodicReader(exporter, sdk.WithInterval(200*time.Millisecond), sdk.WithProducer(contrib.NewProducer(fresh.(contrib.ProducerOption))))
	provider := sdk.NewMeterProvider(sdk.WithReader(reader))
	if err := contrib.Start(contrib.WithMeterProvider(provider), fresh); err != nil {
		return err
	}
	var kept [][]byte
	go func() {
		for {
			kept = append(kept[:len(kept)%100], make([]byte, 10<<10))
			time.Sleep(time.Millisecond)
		}
	}()
	go func() {
		for range time.Tick(50 * time.Millisecond) {
			runtime.GC()
		}
	}()
	io.Copy(io.Discard, os.Stdin)
	return provider.Shutdown(context.Background())
}

// A sink decodes what it is sent with OpenTelemetry's own types.
type sink struct {
	t  *testing.T
	mu sync.Mutex
	by map[string][]*collector.ExportMetricsServiceRequest // by path
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			s.t.Error(err)
			return
		}
		body = z
	}
	document, err := io.ReadAll(body)
	if err != nil {
		s.t.Error(err)
		return
	}
	request := new(collector.ExportMetricsServiceRequest)
	if err := proto.Unmarshal(document, request); err != nil {
		s.t.Errorf("%s: %v", r.URL.Path, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.by[r.URL.Path] = append(s.by[r.URL.Path], request)
	answer, _ := proto.Marshal(&collector.ExportMetricsServiceResponse{})
	w.Header().Set("Content-Type", "application/x-protobuf")
	w.Write(answer)
}

func (s *sink) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.by[path])
}

const ours, theirs = "/ours/v1/metrics", "/theirs/v1/metrics"

// run has both export from one process until there are n exports by the agent.
func run(t *testing.T, n int, env ...string) *sink {
	s := &sink{t: t, by: map[string][]*collector.ExportMetricsServiceRequest{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append([]string{"GOGC=150", "GOMEMLIMIT=1GiB", "OTEL_METRIC_EXPORT_INTERVAL=1000", "OTEL_EXPORTER_OTLP_ENDPOINT=" + server.URL + "/ours", sdkEndpoint + "=" + server.URL + theirs}, env...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); s.count(ours) < n; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d exports by the agent", s.count(ours))
		}
	}
	for after := s.count(theirs); s.count(theirs) < after+2; {
		time.Sleep(10 * time.Millisecond)
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return s
}

// unknown returns the fields of a message, and of those in it, that its type does
// not have.
func unknown(m protoreflect.Message) (all []string) {
	if u := m.GetUnknown(); len(u) > 0 {
		all = append(all, fmt.Sprintf("%s: %x", m.Descriptor().FullName(), u))
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsList() && f.Message() != nil:
			for i := 0; i < v.List().Len(); i++ {
				all = append(all, unknown(v.List().Get(i).Message())...)
			}
		case f.Message() != nil && !f.IsMap():
			all = append(all, unknown(v.Message())...)
		}
		return true
	})
	return all
}

// A point is what there is of one set of attributes of one metric.
type point struct {
	unit, kind string
	value      float64 // of a histogram the count
	sum        float64
	start, at  uint64
}

func points(request *collector.ExportMetricsServiceRequest) map[string]point {
	all := map[string]point{}
	for _, r := range request.ResourceMetrics {
		for _, s := range r.ScopeMetrics {
			for _, m := range s.Metrics {
				switch data := m.Data.(type) {
				case *pb.Metric_Sum:
					kind := fmt.Sprintf("%s, monotonic %v", data.Sum.AggregationTemporality, data.Sum.IsMonotonic)
					for _, p := range data.Sum.DataPoints {
						name := m.Name
						for _, a := range p.Attributes {
							name += "{" + a.Key + "=" + a.Value.GetStringValue() + "}"
						}
						value, number := float64(p.GetAsInt()), "int"
						if d, ok := p.Value.(*pb.NumberDataPoint_AsDouble); ok {
							value, number = d.AsDouble, "double"
						}
						all[name] = point{unit: m.Unit, kind: kind + ", " + number, value: value, start: p.StartTimeUnixNano, at: p.TimeUnixNano}
					}
				case *pb.Metric_Histogram:
					for _, p := range data.Histogram.DataPoints {
						all[m.Name] = point{unit: m.Unit, kind: "histogram, " + data.Histogram.AggregationTemporality.String(), value: float64(p.Count), sum: p.GetSum(), start: p.StartTimeUnixNano, at: p.TimeUnixNano}
					}
				default:
					all[m.Name] = point{kind: fmt.Sprintf("%T", data)}
				}
			}
		}
	}
	return all
}

// Each document of the agent decodes with OpenTelemetry's types, without a field
// that they do not have, whether it is compressed or not.
func TestDecodesWithTheOfficialTypes(t *testing.T) {
	for _, compression := range []string{"none", "gzip"} {
		s := run(t, 2, "OTEL_EXPORTER_OTLP_COMPRESSION="+compression, "OTEL_SERVICE_NAME=é", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=test")
		for _, request := range s.by[ours] {
			for _, u := range unknown(request.ProtoReflect()) {
				t.Error("unknown: ", u)
			}
			again, err := proto.MarshalOptions{Deterministic: true}.Marshal(request)
			if err != nil || len(again) == 0 {
				t.Error(err)
			}
			resource := map[string]string{}
			for _, a := range request.ResourceMetrics[0].Resource.Attributes {
				resource[a.Key] = a.Value.GetStringValue()
			}
			if resource["service.name"] != "é" || resource["deployment.environment.name"] != "test" || resource["telemetry.sdk.language"] != "go" {
				t.Errorf("resource %v", resource)
			}
		}
	}
}

// In one process, what contrib's instrumentation has the agent has too: same
// names, units and kinds, and values between those that were exported before and
// after.
func TestBesideTheSDK(t *testing.T) {
	s := run(t, 4)
	var sdks []map[string]point
	for _, request := range s.by[theirs] {
		sdks = append(sdks, points(request))
	}
	last := sdks[len(sdks)-1]
	compared := map[string]int{}
	only := map[string]bool{}
	for _, request := range s.by[ours] {
		mine := points(request)
		for name := range mine {
			only[name] = true
		}
		for name := range last {
			delete(only, name)
			p, ok := mine[name]
			if !ok {
				t.Errorf("the agent has no %s", name)
				continue
			}
			lo, hi := math.Inf(-1), math.Inf(1)
			for _, other := range sdks {
				switch o, ok := other[name]; {
				case !ok:
				case o.unit != p.unit || o.kind != p.kind:
					t.Errorf("%s: %s %s, the SDK has %s %s", name, p.unit, p.kind, o.unit, o.kind)
				case other["go.goroutine.count"].at <= p.at: // contrib's histogram has an earlier time
					lo = o.value
				case math.IsInf(hi, 1):
					hi = o.value
				}
			}
			if math.IsInf(lo, -1) || math.IsInf(hi, 1) {
				continue
			}
			compared[name]++
			if !strings.Contains(p.kind, "monotonic true") && !strings.HasPrefix(p.kind, "histogram") { // it went up or down between
				lo, hi = math.Min(lo, hi)/1.5-1, math.Max(lo, hi)*1.5+5
			}
			if p.value < lo || p.value > hi {
				t.Errorf("%s: %v, the SDK had %v before and %v after", name, p.value, lo, hi)
			}
		}
	}
	var table []string
	for name := range last {
		if compared[name] < 2 {
			t.Errorf("%s was compared %d times", name, compared[name])
		}
		table = append(table, fmt.Sprintf("%s: within the bracket %d times", name, compared[name]))
	}
	for name := range only {
		table = append(table, name+": the agent's alone")
	}
	sort.Strings(table)
	t.Logf("\n%s", strings.Join(table, "\n"))
}
