package reporter

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"reflect"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
)

func newOTLPFormat() *otlpFormat {
	return &otlpFormat{requests: http.Header{"Content-Type": {"application/x-protobuf"}}, resource: resource("tested", map[string]string{})}
}

func export(t testing.TB, f format) endpoint.Export {
	t.Helper()
	document, err := f.document()
	if err != nil {
		t.Fatal(err)
	}
	e, err := endpoint.ParseExport(document)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

var otelVariables = []string{
	"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
	"OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "OTEL_EXPORTER_OTLP_COMPRESSION", "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION",
	"OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "OTEL_METRIC_EXPORT_INTERVAL", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_SERVICE_NAME",
	"OTEL_METRICS_EXPORTER", "OTEL_SDK_DISABLED", "HEROKU_APP_NAME", "HEROKU_APP_ID", "HEROKU_RELEASE_VERSION", "HEROKU_RELEASE_CREATED_AT", "HEROKU_SLUG_COMMIT",
}

// otel clears what OTLP reads, sets name=value pairs, and reads it. A name that
// begins with _ has OTEL_EXPORTER_OTLP before it.
func otel(t *testing.T, set ...string) (*otlpFormat, Options) {
	t.Helper()
	environment(t)
	for _, name := range otelVariables {
		t.Setenv(name, "") // to be put back
		os.Unsetenv(name)
	}
	for _, s := range set {
		name, value, found := strings.Cut(s, "=")
		if !found {
			continue
		}
		if strings.HasPrefix(name, "_") {
			name = "OTEL_EXPORTER_OTLP" + name
		}
		t.Setenv(name, value)
	}
	r, o := OTLP(FromEnvironment())
	return r.format.(*otlpFormat), o
}

func TestOTLPEndpoints(t *testing.T) {
	for set, want := range map[string]string{
		"_ENDPOINT=http://collector:4318":                                        "http://collector:4318/v1/metrics",
		"_ENDPOINT=http://collector:4318/":                                       "http://collector:4318/v1/metrics",
		"_ENDPOINT= https://user:pass@collector/prefix/ ":                        "https://user:pass@collector/prefix/v1/metrics",
		"_METRICS_ENDPOINT=http://collector/verbatim/":                           "http://collector/verbatim/",
		"_METRICS_ENDPOINT=http://collector|_ENDPOINT=http://other":              "http://collector",
		"_METRICS_ENDPOINT=|_ENDPOINT=http://other|_PROTOCOL=http/protobuf":      "http://other/v1/metrics",
		"_ENDPOINT=http://collector|OTEL_METRICS_EXPORTER=otlp":                  "http://collector/v1/metrics",
		"_ENDPOINT=http://collector|OTEL_METRICS_EXPORTER=prometheus, otlp":      "http://collector/v1/metrics",
		"_ENDPOINT=http://collector|OTEL_SDK_DISABLED=1":                         "http://collector/v1/metrics", // only true is true
		"_ENDPOINT=http://c|_PROTOCOL=grpc|_METRICS_PROTOCOL=http/protobuf":      "http://c/v1/metrics",
		"_ENDPOINT=http://c|OTEL_METRICS_EXPORTER=none":                          "off: OTEL_METRICS_EXPORTER",
		"_ENDPOINT=http://c|OTEL_METRICS_EXPORTER=prometheus":                    "off: OTEL_METRICS_EXPORTER",
		"_ENDPOINT=http://c|OTEL_SDK_DISABLED=True":                              "off: OTEL_SDK_DISABLED",
		"_ENDPOINT=http://c|_PROTOCOL=grpc":                                      "off: OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=http/protobuf",
		"_ENDPOINT=http://c|_METRICS_PROTOCOL=http/json|_PROTOCOL=http/protobuf": "off: OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=http/protobuf",
		"_ENDPOINT=secret":              "off: OTEL_EXPORTER_OTLP_ENDPOINT is not an http or https URL",
		"_ENDPOINT=collector:4318":      "off: OTEL_EXPORTER_OTLP_ENDPOINT is not an http or https URL",
		"_ENDPOINT=http://c|DYNO=run.1": "off: HMETRICS_ONE_OFF",
	} {
		_, o := otel(t, strings.Split(set, "|")...)
		got := ""
		if o.Off == "" {
			got = o.Endpoint()
		} else if off := strings.TrimPrefix(want, "off: "); off != want && strings.Contains(o.Off, off) && !strings.Contains(o.Off, "secret") {
			got = want
		} else {
			got = "off: " + o.Off
		}
		if got != want {
			t.Errorf("%s: %q, want %q", set, got, want)
		}
	}
}

func TestOTLPIsOnWhereThereIsAnEndpoint(t *testing.T) {
	for set, want := range map[string]bool{"": false, "_ENDPOINT=": false, "_PROTOCOL=grpc": false, "_ENDPOINT=x": true, "_METRICS_ENDPOINT=x": true} {
		otel(t, set)
		if got := OTLPIsOn(); got != want {
			t.Errorf("%q: %v", set, got)
		}
	}
}

func TestOTLPSettings(t *testing.T) {
	f, o := otel(t, "HMETRICS_INTERVAL=7s", "HMETRICS_TIMEOUT=3s", "HMETRICS_RETRIES=5")
	if o.Config != (Config{Interval: time.Minute, Timeout: 10 * time.Second, Retries: 5, Prefix: "OTLP: "}) || len(o.Problems) != 0 || f.gzip {
		t.Errorf("defaults %+v, %q", o.Config, o.Problems)
	}
	want := http.Header{"Content-Type": {"application/x-protobuf"}}
	if !reflect.DeepEqual(f.requests, want) {
		t.Errorf("headers %v", f.requests)
	}

	f, o = otel(t, "OTEL_METRIC_EXPORT_INTERVAL=1500", "_TIMEOUT=250", "_COMPRESSION=gzip", "_HEADERS=x-general=1")
	if o.Config.Interval != 1500*time.Millisecond || o.Config.Timeout != 250*time.Millisecond || !f.gzip || f.requests.Get("Content-Encoding") != "gzip" || f.requests.Get("X-General") != "1" || len(o.Problems) != 0 {
		t.Errorf("got %+v, %v, %q", o.Config, f.requests, o.Problems)
	}

	f, o = otel(t, "_TIMEOUT=250", "_METRICS_TIMEOUT=300", "_COMPRESSION=gzip", "_METRICS_COMPRESSION=none", "_HEADERS=x-general=1", "_METRICS_HEADERS=authorization=Basic%20c2VjcmV0, api-key = a=b")
	if o.Config.Timeout != 300*time.Millisecond || f.gzip || f.requests.Get("X-General") != "" || f.requests.Get("Authorization") != "Basic c2VjcmV0" || f.requests.Get("Api-Key") != "a=b" {
		t.Errorf("those for metrics do not win: %+v, %v", o.Config, f.requests)
	}
}

func TestABadOTLPValueMeansTheDefaultAndOneLine(t *testing.T) {
	for _, set := range []string{
		"OTEL_METRIC_EXPORT_INTERVAL=1m", "OTEL_METRIC_EXPORT_INTERVAL=0", "OTEL_METRIC_EXPORT_INTERVAL=-60000", "OTEL_METRIC_EXPORT_INTERVAL=10000000000000000",
		"OTEL_EXPORTER_OTLP_TIMEOUT=10s", "OTEL_EXPORTER_OTLP_TIMEOUT=1", "OTEL_EXPORTER_OTLP_COMPRESSION=zstd",
		"OTEL_EXPORTER_OTLP_HEADERS=secret", "OTEL_EXPORTER_OTLP_HEADERS=k=%zzsecret", "OTEL_EXPORTER_OTLP_HEADERS==secret", "OTEL_RESOURCE_ATTRIBUTES=a=b,secret",
	} {
		f, o := otel(t, set)
		name, _, _ := strings.Cut(set, "=")
		if len(o.Problems) != 1 || !strings.HasPrefix(o.Problems[0], name+" must be ") || strings.Contains(o.Problems[0], "secret") {
			t.Errorf("%s: problems %q", set, o.Problems)
		}
		if o.Config.Interval != time.Minute || o.Config.Timeout != 10*time.Second || f.gzip || len(f.requests) != 1 || export(t, f).Resource["a"] != "" {
			t.Errorf("%s: got %+v, %v", set, o.Config, f.requests)
		}
	}
}

func TestResource(t *testing.T) {
	program := "unknown_service:" + os.Args[0][strings.LastIndex(os.Args[0], "/")+1:]
	sdk := map[string]string{"telemetry.sdk.language": "go", "telemetry.distro.name": "heroku-buildpack-go-metrics", "telemetry.distro.version": version}
	dyno := []string{"DYNO=web.1", "HEROKU_APP_NAME=app", "HEROKU_APP_ID=id", "HEROKU_RELEASE_VERSION=v7", "HEROKU_SLUG_COMMIT=abc", "HEROKU_RELEASE_CREATED_AT=2026-01-02T03:04:05Z"}
	ids := map[string]bool{}
	for _, c := range []struct {
		set  []string
		want map[string]string
	}{
		{nil, map[string]string{"service.name": program}},
		{dyno, map[string]string{
			"service.name": "app", "service.version": "v7", "cloud.provider": "heroku", "heroku.app.id": "id",
			"heroku.release.commit": "abc", "heroku.release.creation_timestamp": "2026-01-02T03:04:05Z",
		}},
		{[]string{"OTEL_RESOURCE_ATTRIBUTES=service.name=fromattributes,deployment.environment.name=a%2Cb"}, map[string]string{"service.name": "fromattributes", "deployment.environment.name": "a,b"}},
		{[]string{"OTEL_RESOURCE_ATTRIBUTES=service.name=fromattributes,service.version=9,telemetry.distro.name=mine", "OTEL_SERVICE_NAME=named", "HEROKU_APP_NAME=app"},
			map[string]string{"service.name": "named", "service.version": "9", "telemetry.distro.name": "mine"}},
	} {
		f, _ := otel(t, c.set...)
		got := export(t, f).Resource
		id := got["service.instance.id"]
		if ids[id] || strings.HasPrefix(id, "web.1.") != (got["cloud.provider"] != "") {
			t.Errorf("%q: instance %s", c.set, id)
		}
		ids[id] = true
		delete(got, "service.instance.id")
		for key, value := range sdk {
			if c.want[key] == "" {
				c.want[key] = value
			}
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: got %v\nwant %v", c.set, got, c.want)
		}
	}
}

func TestTheVersionIsTheBuildpacks(t *testing.T) {
	b, err := os.ReadFile("../../../buildpack.toml")
	if err != nil || !bytes.Contains(b, []byte("\nversion = \""+version+"\"\n")) {
		t.Errorf("buildpack.toml is not of version %s: %v", version, err)
	}
}

// What a release of Go has is sent, and nothing else. The figures lie between
// those that the runtime gave before and those that it gave after.
func TestWhatIsSentByOTLP(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(200))
	runtime.GC()
	f := newOTLPFormat()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	e := export(t, f)
	runtime.ReadMemStats(&after)

	if e.ScopeName != "github.com/hmetrics/heroku-buildpack-go-metrics" || e.ScopeVers != version {
		t.Errorf("scope %s %s", e.ScopeName, e.ScopeVers)
	}
	if age := e.Time.Sub(e.Start); !e.Start.Equal(time.Unix(0, started.UnixNano())) || age <= 0 || age > time.Hour {
		t.Errorf("from %v to %v", e.Start, e.Time)
	}
	for name, bracket := range map[string][2]uint64{
		"go.memory.used{stack}": {before.StackInuse / 2, after.StackInuse * 2},
		"go.memory.used{other}": {(before.Sys - before.HeapReleased - before.StackInuse) * 9 / 10, (after.Sys - after.HeapReleased) * 11 / 10},
		"go.memory.allocated":   {before.TotalAlloc * 9 / 10, after.TotalAlloc},
		"go.memory.allocations": {before.Mallocs / 2, after.Mallocs}, // that does not count tiny ones one by one
		"go.memory.gc.goal":     {before.NextGC, after.NextGC},
		"go.memory.gc.cycles":   {uint64(before.NumGC), uint64(after.NumGC)},
		"go.goroutine.count":    {1, uint64(runtime.NumGoroutine()) + 20},
	} {
		if v, ok := e.Values[name]; !ok || v < float64(bracket[0]) || v > float64(bracket[1]) {
			t.Errorf("%s is %v, %v, want %v", name, v, ok, bracket)
		}
	}
	has := map[string]bool{}
	for _, d := range metrics.All() {
		has[d.Name] = true
	}
	for name, source := range map[string]string{
		"go.processor.limit": "/sched/gomaxprocs:threads", "go.config.gogc": "/gc/gogc:percent",
		"go.cpu.time{user}": "/cpu/classes/user:cpu-seconds", "go.cpu.time{idle}": "/cpu/classes/idle:cpu-seconds", "go.cpu.time{gc}": "/cpu/classes/gc/total:cpu-seconds", "go.cpu.time{scavenge}": "/cpu/classes/scavenge/total:cpu-seconds",
	} {
		if _, sent := e.Values[name]; sent != has[source] {
			t.Errorf("%s: sent %v, in this release %v", name, sent, has[source])
		}
	}
	if n, ok := e.Values["go.processor.limit"]; ok && n != float64(runtime.GOMAXPROCS(0)) {
		t.Errorf("go.processor.limit is %v", n)
	}
	if n, ok := e.Values["go.config.gogc"]; ok && n != 200 {
		t.Errorf("go.config.gogc is %v", n)
	}
	for name, source := range map[string]string{"go.schedule.duration": "/sched/latencies:seconds", "go.memory.gc.pause.duration": "/sched/pauses/total/gc:seconds"} {
		h, sent := e.Histograms[name]
		if sent != has[source] {
			t.Errorf("%s: sent %v, in this release %v", name, sent, has[source])
		}
		if sent && (len(h.Bounds) != 11 || h.Bounds[0] != 1.024e-6 || h.Bounds[10] != 1.073741824 || h.Count == 0 || h.Sum <= 0) {
			t.Errorf("%s is %+v", name, h)
		}
	}
}

// A limit that is none, and a collector that is off, have no number.
func TestWhatIsUnlimitedIsAbsent(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	f := newOTLPFormat()
	e := export(t, f)
	for _, name := range []string{"go.memory.limit", "go.config.gogc"} {
		if v, ok := e.Values[name]; ok {
			t.Errorf("%s is %v", name, v)
		}
	}
}

// What has vanished from a Go release is absent, not 0.
func TestAMetricThatIsGoneIsAbsent(t *testing.T) {
	for i := range instruments {
		defer func(i int, source string) { instruments[i].source = source }(i, instruments[i].source)
	}
	for i := range instruments {
		if name := instruments[i].name; strings.HasPrefix(name, "go.cpu") || strings.HasPrefix(name, "go.sch") || name == "go.goroutine.count" {
			instruments[i].source = "/no/such:metric"
		}
	}
	e := export(t, newOTLPFormat())
	if len(e.Values) < 5 {
		t.Errorf("got %v", e.Values)
	}
	for name := range e.Values {
		if strings.HasPrefix(name, "go.cpu") || name == "go.goroutine.count" {
			t.Errorf("%s is there", name)
		}
	}
	if _, ok := e.Histograms["go.schedule.duration"]; ok {
		t.Error("go.schedule.duration is there")
	}
}

// The runtime's buckets fit between the bounds, so counts are exact, and the sum
// is within half a bucket.
func TestCoarse(t *testing.T) {
	inf := math.Inf(1)
	counts, count, sum := coarse(&metrics.Float64Histogram{
		Buckets: []float64{-inf, 0, 512e-9, 1024e-9, 2048e-9, 4096e-9, 1, 2, inf},
		Counts:  []uint64{1, 2, 3, 4, 5, 0, 6, 7},
	})
	if got, want := fmt.Sprint(counts), "[6 9 0 0 0 0 0 0 0 0 0 13]"; got != want {
		t.Errorf("counts %v, want %v", got, want)
	}
	if want := 2*256e-9 + 3*768e-9 + 4*1536e-9 + 5*3072e-9 + 6*1.5 + 7*2; count != 28 || math.Abs(sum-want) > 1e-12 {
		t.Errorf("%d, %v, want %v", count, sum, want)
	}

	read := []metrics.Sample{{Name: "/sched/latencies:seconds"}}
	metrics.Read(read)
	is := map[float64]bool{}
	for _, b := range read[0].Value.Float64Histogram().Buckets {
		is[b] = true
	}
	for _, b := range bounds {
		if !is[b] {
			t.Errorf("%v is no bound of the runtime's", b)
		}
	}
}

// A document is the one thing that an export allocates before it is sent, whole at
// once.
func TestAllocationsOfADocument(t *testing.T) {
	f := newOTLPFormat()
	for _, f.gzip = range []bool{false, true} {
		most := 1.0
		if f.gzip {
			most++
		}
		if n := testing.AllocsPerRun(100, func() { f.document() }); n > most {
			t.Errorf("gzip %v: %v allocations, want %v", f.gzip, n, most)
		}
	}
}

func TestCompressedDocuments(t *testing.T) {
	f := newOTLPFormat()
	f.gzip = true
	for i := 0; i < 3; i++ {
		if i == 2 { // more than one block
			f.resource = resource("tested", map[string]string{"long": strings.Repeat("x", 3<<16)})
		}
		document, err := f.document()
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(bytes.NewReader(document))
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		if e, err := endpoint.ParseExport(plain); err != nil || (i == 2) != (len(e.Resource["long"]) == 3<<16) {
			t.Error(err)
		}
	}
}

func TestPartialSuccess(t *testing.T) {
	f := newOTLPFormat()
	for answer, want := range map[string]string{
		"":                                "",
		"\x0a\x00":                        "",
		"\x0a\x02\x08\x00":                "",
		"\x0a\x02\x08\x05":                "the endpoint rejected 5 data points; its own log says why",
		"\x0a\x04\x12\x02hi":              "the endpoint rejected 0 data points; its own log says why",
		"\x0a\x08\x08\xac\x02\x12\x03two": "the endpoint rejected 300 data points; its own log says why",
		"\x0a\x7f\x08\x05":                "", // cut off
		"{\"partialSuccess\":{}}":         "",
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff": "",
	} {
		got := ""
		if err := f.delivered([]byte(answer)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %q, want %q", answer, got, want)
		}
	}
}

func FuzzPartialSuccess(f *testing.F) {
	f.Add([]byte("\x0a\x08\x08\xac\x02\x12\x03two"))
	f.Fuzz(func(t *testing.T, answer []byte) { new(otlpFormat).delivered(answer) })
}

func TestStatusesThatOTLPTriesAgain(t *testing.T) {
	for status := 200; status < 600; status++ {
		want := status == 429 || status == 502 || status == 503 || status == 504
		if got := new(otlpFormat).retry(status); got != want {
			t.Errorf("%d: %v", status, got)
		}
	}
}

func BenchmarkOTLPDocument(b *testing.B) {
	f := newOTLPFormat()
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		f.document()
	}
}
