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
	"regexp"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
)

func testedFormat() *otlpFormat {
	f := newOTLPFormat(instruments())
	f.requests, f.resource = http.Header{"Content-Type": {"application/x-protobuf"}}, resource("tested", nil)
	return f
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
	"OTEL_METRICS_EXPORTER", "OTEL_SDK_DISABLED", "OTEL_METRIC_EXPORT_TIMEOUT", "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
	"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "OTEL_METRICS_EXEMPLAR_FILTER", "OTEL_CONFIG_FILE", "OTEL_EXPERIMENTAL_CONFIG_FILE", "OTEL_ENTITIES",
	"OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE",
	"OTEL_EXPORTER_OTLP_CLIENT_KEY", "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY", "OTEL_EXPORTER_OTLP_INSECURE", "OTEL_EXPORTER_OTLP_METRICS_INSECURE",
	"HEROKU_APP_NAME", "HEROKU_APP_ID", "HEROKU_RELEASE_VERSION", "HEROKU_RELEASE_CREATED_AT", "HEROKU_SLUG_COMMIT",
}

// withOTLP clears the variables of OTLP, sets name=value pairs, and calls OTLP. A name that
// begins with _ gets the prefix OTEL_EXPORTER_OTLP.
func withOTLP(t *testing.T, set ...string) (*otlpFormat, Options) {
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
	r, o := OTLP(FromEnvironment(), "")
	return r.format.(*otlpFormat), o
}

func TestOTLPEndpoints(t *testing.T) {
	for set, want := range map[string]string{
		"_ENDPOINT=http://collector:4318":                                        "http://collector:4318/v1/metrics",
		"_ENDPOINT=http://collector:4318/":                                       "http://collector:4318/v1/metrics",
		"_ENDPOINT= https://user:pass@collector/prefix/ ":                        "https://user:pass@collector/prefix/v1/metrics",
		"_METRICS_ENDPOINT=http://collector/verbatim/":                           "http://collector/verbatim/",
		"_METRICS_ENDPOINT=http://collector/verbatim?key=x":                      "http://collector/verbatim?key=x",
		"_ENDPOINT=http://collector/base/?tok=x#frag":                            "http://collector/base/v1/metrics",
		"_ENDPOINT=http://collector#frag":                                        "http://collector/v1/metrics",
		"_ENDPOINT=http://collector/a%2Fb":                                       "http://collector/a%2Fb/v1/metrics",
		"_ENDPOINT=http://collector|_PROTOCOL=HTTP/Protobuf":                     "http://collector/v1/metrics",
		"_ENDPOINT=http://c|OTEL_METRICS_EXPORTER=otlp/stdout":                   "off: OTEL_METRICS_EXPORTER",
		"_METRICS_ENDPOINT=c":                                                    "off: OTEL_EXPORTER_OTLP_METRICS_ENDPOINT is not",
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
		_, o := withOTLP(t, strings.Split(set, "|")...)
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

// Another reporter in the program is linked but may never start, so the user can make the agent
// export anyway, unless the other one is the agent.
func TestAnotherReporterIsLinked(t *testing.T) {
	const onload = "github.com/hmetrics/heroku-buildpack-go-metrics/agent/onload"
	for _, c := range []struct{ set, other, off string }{
		{"", "example.com/other", "links example.com/other, and two reporters would count everything twice: if it is never started, set OTEL_METRICS_EXPORTER=otlp"},
		{"OTEL_METRICS_EXPORTER=otlp", "example.com/other", ""},
		{"OTEL_METRICS_EXPORTER=console, OTLP", "example.com/other", ""},
		{"OTEL_METRICS_EXPORTER=none", "example.com/other", "OTEL_METRICS_EXPORTER is not otlp"},
		{"OTEL_METRICS_EXPORTER=otlp", onload, "links " + onload + ", and two reporters"},
	} {
		withOTLP(t, "_ENDPOINT=http://c", c.set)
		if _, o := OTLP(FromEnvironment(), c.other); !strings.Contains(o.Off, c.off) || (o.Off == "") != (c.off == "") {
			t.Errorf("%s, %s: %q", c.set, c.other, o.Off)
		}
	}
}

// The tables of agent/README.md have every variable of OpenTelemetry's for metrics by OTLP over
// HTTP. Each changes what the agent does, or a log line names it if the agent does not support
// its value.
func TestEveryStandardVariable(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	settings := func(set ...string) (string, []string) {
		f, o := withOTLP(t, append([]string{"_ENDPOINT=http://c"}, set...)...)
		gzip := f.gzip
		f.gzip, f.certificates.tls = false, nil // to be read here
		resource := export(t, f).Resource
		return fmt.Sprint(o.Off, o.Endpoint(), o.Config, f.requests, gzip, f.delta, f.certificates.authority.value, f.certificates.client.value, f.certificates.key.value, resource["service.name"], resource["k"]), o.Problems
	}
	standard, _ := settings()
	values := map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://d", "OTEL_EXPORTER_OTLP_HEADERS": "a=b", "OTEL_EXPORTER_OTLP_TIMEOUT": "123", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
		"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_CERTIFICATE": "x.pem", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": "x.pem", "OTEL_EXPORTER_OTLP_CLIENT_KEY": "x.pem",
		"OTEL_EXPORTER_OTLP_INSECURE": "true", "OTEL_METRIC_EXPORT_INTERVAL": "123", "OTEL_METRIC_EXPORT_TIMEOUT": "123", "OTEL_SERVICE_NAME": "n", "OTEL_RESOURCE_ATTRIBUTES": "k=v",
		"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta", "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION": "base2_exponential_bucket_histogram",
		"OTEL_METRICS_EXPORTER": "none", "OTEL_METRICS_EXEMPLAR_FILTER": "always_on", "OTEL_SDK_DISABLED": "true", "OTEL_ENTITIES": "x", "OTEL_CONFIG_FILE": "x", "OTEL_EXPERIMENTAL_CONFIG_FILE": "x",
	}
	for name, value := range values {
		if !bytes.Contains(readme, []byte("`"+name+"`")) {
			t.Errorf("agent/README.md has no %s", name)
		}
		names := []string{name}
		if general := "OTEL_EXPORTER_OTLP_"; strings.HasPrefix(name, general) && !strings.HasPrefix(name, general+"METRICS_") {
			names = append(names, general+"METRICS_"+strings.TrimPrefix(name, general))
		}
		for _, name := range names {
			got, problems := settings(name + "=" + value)
			said := len(problems) == 1 && strings.HasPrefix(problems[0], name+" ")
			if (got != standard) == said || len(problems) > 1 {
				t.Errorf("%s: %s, %q", name, got, problems)
			}
		}
	}
	for _, row := range strings.Split(string(readme), "\n") {
		if name, _, _ := strings.Cut(strings.TrimPrefix(row, "| `"), "`"); strings.HasPrefix(row, "| `OTEL_") && values[name] == "" && name != "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT" {
			t.Errorf("%s of agent/README.md is not tried", name)
		}
	}
}

func TestOTLPIsOnWhereThereIsAnEndpoint(t *testing.T) {
	for set, want := range map[string]bool{"": false, "_ENDPOINT=": false, "_PROTOCOL=grpc": false, "_ENDPOINT=x": true, "_METRICS_ENDPOINT=x": true} {
		withOTLP(t, set)
		if got := OTLPIsOn(); got != want {
			t.Errorf("%q: %v", set, got)
		}
	}
}

func TestOTLPSettings(t *testing.T) {
	f, o := withOTLP(t, "HMETRICS_INTERVAL=7s", "HMETRICS_TIMEOUT=3s", "HMETRICS_RETRIES=5")
	if o.Config != (Config{Interval: time.Minute, Timeout: 10 * time.Second, Retries: 5, Prefix: "OTLP: "}) || len(o.Problems) != 0 || f.gzip {
		t.Errorf("defaults %+v, %q", o.Config, o.Problems)
	}
	want := http.Header{"Content-Type": {"application/x-protobuf"}}
	if !reflect.DeepEqual(f.requests, want) {
		t.Errorf("headers %v", f.requests)
	}

	f, o = withOTLP(t, "OTEL_METRIC_EXPORT_INTERVAL=1500", "_TIMEOUT=250", "_COMPRESSION=gzip", "_HEADERS=x-general=1")
	if o.Config.Interval != 1500*time.Millisecond || o.Config.Timeout != 250*time.Millisecond || !f.gzip || f.requests.Get("Content-Encoding") != "gzip" || f.requests.Get("X-General") != "1" || len(o.Problems) != 0 {
		t.Errorf("got %+v, %v, %q", o.Config, f.requests, o.Problems)
	}

	f, o = withOTLP(t, "_TIMEOUT=250", "_METRICS_TIMEOUT=300", "_COMPRESSION=gzip", "_METRICS_COMPRESSION=none", "_HEADERS=x-general=1", "_METRICS_HEADERS=authorization=Basic%20c2VjcmV0, api-key = a=b")
	if o.Config.Timeout != 300*time.Millisecond || f.gzip || f.requests.Get("X-General") != "" || f.requests.Get("Authorization") != "Basic c2VjcmV0" || f.requests.Get("Api-Key") != "a=b" {
		t.Errorf("those for metrics do not win: %+v, %v", o.Config, f.requests)
	}
}

func TestTemporalityPreference(t *testing.T) {
	for value, want := range map[string][kinds]bool{
		"": {}, "Cumulative": {}, "DELTA": {counter: true, histogram: true}, "delta": {counter: true, histogram: true}, "lowmemory": {histogram: true},
	} {
		if f, o := withOTLP(t, "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE="+value); f.delta != want || len(o.Problems) != 0 {
			t.Errorf("%s: %v, %q", value, f.delta, o.Problems)
		}
	}
}

// Headers that HTTP does not allow, or that would change the request, are left out. The others
// are sent.
func TestHeadersThatCannotBeSent(t *testing.T) {
	for _, odd := range []string{"a b=c", "\"authorization=Basic x\"", "a:b=c", "a=b%0a", "a=%00", "a=%7F", "é=c", "=c", "a", "a=%zz", "Connection=close", "content-type=text/plain", "host=other"} {
		f, o := withOTLP(t, "_ENDPOINT=http://c", "_METRICS_HEADERS=x-first=1,"+odd+",x-last=é%09!")
		if len(f.requests) != 3 || f.requests.Get("X-First") != "1" || f.requests.Get("X-Last") != "é\t!" || f.requests.Get("Content-Type") != "application/x-protobuf" {
			t.Errorf("%s: %v", odd, f.requests)
		}
		if len(o.Problems) != 1 || !strings.HasPrefix(o.Problems[0], "OTEL_EXPORTER_OTLP_METRICS_HEADERS ") {
			t.Errorf("%s: %q", odd, o.Problems)
		}
	}
}

// No string that is not UTF-8 is sent, whatever its source: the endpoint refuses those.
func TestWhatIsSentIsUTF8(t *testing.T) {
	for set, want := range map[string]string{
		"OTEL_RESOURCE_ATTRIBUTES=k=a%ffb":       "k=a\uFFFDb",
		"OTEL_RESOURCE_ATTRIBUTES=k\xff=v":       "k\uFFFD=v",
		"OTEL_SERVICE_NAME=a\xffb":               "service.name=a\uFFFDb",
		"HEROKU_RELEASE_VERSION=\xc3":            "service.version=\uFFFD",
		"OTEL_RESOURCE_ATTRIBUTES=k=%C3%A9":      "k=é",
		"OTEL_RESOURCE_ATTRIBUTES=k=1,k=2":       "k=2",
		"OTEL_RESOURCE_ATTRIBUTES=\xfe=1,\xff=2": "cloud.provider=",
		"DYNO=web.a\xffb":                        "cloud.provider=heroku",
	} {
		f, _ := withOTLP(t, set)
		key, value, _ := strings.Cut(want, "=")
		if got := export(t, f).Resource; got[key] != value {
			t.Errorf("%q: %q", set, got)
		}
	}
}

func TestABadOTLPValueMeansTheDefaultAndOneLine(t *testing.T) {
	for _, set := range []string{
		"OTEL_METRIC_EXPORT_INTERVAL=1m", "OTEL_METRIC_EXPORT_INTERVAL=0", "OTEL_METRIC_EXPORT_INTERVAL=-60000", "OTEL_METRIC_EXPORT_INTERVAL=10000000000000000",
		"OTEL_EXPORTER_OTLP_TIMEOUT=10s", "OTEL_EXPORTER_OTLP_TIMEOUT=1", "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT=1", "OTEL_EXPORTER_OTLP_COMPRESSION=zstd",
		"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE=gauge", "OTEL_SDK_DISABLED=1", "OTEL_EXPORTER_OTLP_HEADERS=Content-Type=text/plain",
		"OTEL_EXPORTER_OTLP_HEADERS=secret", "OTEL_EXPORTER_OTLP_HEADERS=k=%zzsecret", "OTEL_EXPORTER_OTLP_HEADERS==secret", "OTEL_RESOURCE_ATTRIBUTES=a=b,secret",
	} {
		f, o := withOTLP(t, set)
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
		f, _ := withOTLP(t, c.set...)
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

// The agent sends the metrics that the Go release has, and nothing else. The figures lie
// between the runtime's figures before and after.
func TestWhatIsSentByOTLP(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(200))
	runtime.GC()
	f := testedFormat()
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
		"go.memory.allocated":   {before.TotalAlloc * 9 / 10, after.TotalAlloc * 11 / 10}, // Go 1.18 counts what it has set aside
		"go.memory.allocations": {before.Mallocs / 2, after.Mallocs},                      // that does not count tiny ones one by one
		"go.memory.gc.goal":     {before.NextGC, after.NextGC},
		"go.memory.gc.cycles":   {uint64(before.NumGC), uint64(after.NumGC)},
		"go.goroutine.count":    {1, uint64(runtime.NumGoroutine()) + 20},
	} {
		if v, ok := e.Values[name]; !ok || v < float64(bracket[0]) || v > float64(bracket[1]) {
			t.Errorf("%s is %v, %v, want %v", name, v, ok, bracket)
		}
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range instruments() {
		if row := regexp.MustCompile("(?m)^\\| .*`" + in.name + "`.* \\| 1\\." + strconv.Itoa(in.since) + " \\|$"); !row.Match(readme) {
			t.Errorf("agent/README.md has no row of %s from Go 1.%d on", in.name, in.since)
		}
		sent := e.Histograms[in.name].Count > 0
		for name := range e.Values {
			sent = sent || name == in.name || strings.HasPrefix(name, in.name+"{")
		}
		if limit := in.name == "go.memory.limit"; sent != (release(t) >= in.since && !limit) {
			t.Errorf("%s: sent %v by Go 1.%d", in.name, sent, release(t))
		}
	}
	if n, ok := e.Values["go.processor.limit"]; ok && n != float64(runtime.GOMAXPROCS(0)) {
		t.Errorf("go.processor.limit is %v", n)
	}
	if n, ok := e.Values["go.config.gogc"]; ok && n != 200 {
		t.Errorf("go.config.gogc is %v", n)
	}
	for name, h := range e.Histograms {
		if len(h.Bounds) != 11 || h.Bounds[0] != 1.024e-6 || h.Bounds[10] != 1.073741824 || h.Sum <= 0 {
			t.Errorf("%s is %+v", name, h)
		}
	}
}

// release returns the minor version of the running Go release.
func release(t *testing.T) (minor int) {
	if _, err := fmt.Sscanf(runtime.Version(), "go1.%d", &minor); err != nil {
		t.Skipf("%s is no release", runtime.Version())
	}
	return minor
}

// Without a limit, or with the collector off, the metric is left out.
func TestUnsetLimitsAreLeftOut(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	f := testedFormat()
	e := export(t, f)
	for _, name := range []string{"go.memory.limit", "go.config.gogc"} {
		if v, ok := e.Values[name]; ok {
			t.Errorf("%s is %v", name, v)
		}
	}
}

// A metric that a Go release lacks, in whole or in part, is left out. It is not 0.
func TestAMissingMetricIsLeftOut(t *testing.T) {
	gone := "/no/such:metric"
	f := newOTLPFormat([]instrument{
		{"go.goroutine.count", "{goroutine}", "what", upDownCounter, 18, only(gone)},
		{"go.schedule.duration", "s", "what", histogram, 18, only(gone)},
		{"go.memory.gc.goal", "By", "what", upDownCounter, 18, []series{read("", "", "/gc/heap/goal:bytes", gone)}},
		{"go.memory.gc.cycles", "{gc_cycle}", "what", counter, 18, only("/gc/cycles/total:gc-cycles")},
	})
	f.resource = testedFormat().resource
	if e := export(t, f); len(e.Values) != 1 || len(e.Histograms) != 0 {
		t.Errorf("got %v, %v", e.Values, e.Histograms)
	}
}

// A counter never goes down, although an estimate of the runtime's can.
func TestACounterThatGoesDown(t *testing.T) {
	f := newOTLPFormat([]instrument{{"go.memory.allocated", "By", "what", counter, 18, only("/memory/classes/heap/objects:bytes")}})
	f.resource = testedFormat().resource
	live := make([]byte, 64<<20)
	before := export(t, f).Values["go.memory.allocated"]
	runtime.KeepAlive(live)
	f.delivered(nil)
	runtime.GC()
	if after := export(t, f).Values["go.memory.allocated"]; after != before {
		t.Errorf("from %v to %v", before, after)
	}
	f.delta[counter] = true
	if added := export(t, f).Values["go.memory.allocated"]; added != 0 {
		t.Errorf("%v were added", added)
	}
}

// The deltas of acknowledged exports add up to the totals. Each begins where the last
// acknowledged one ended, and the next export has what a failed one had.
func TestDeltas(t *testing.T) {
	f := testedFormat()
	f.delta = [kinds]bool{counter: true, histogram: true}
	end, sums := time.Unix(0, started.UnixNano()), map[string]float64{}
	var last endpoint.Export
	for i := 0; i < 9; i++ {
		runtime.GC()
		last = export(t, f)
		if !last.Since.Equal(end) || !last.Start.Equal(time.Unix(0, started.UnixNano())) {
			t.Errorf("export %d: deltas from %v, want %v; totals from %v", i, last.Since, end, last.Start)
		}
		if i%3 == 1 {
			continue // not acknowledged
		}
		f.delivered(nil)
		end = last.Time
		for _, name := range last.Deltas {
			sums[name] += last.Values[name] + float64(last.Histograms[name].Count)
		}
	}
	totals := 0
	for _, m := range f.instruments {
		for _, s := range m.series {
			name := m.name
			if s.attribute != "" {
				name += "{" + s.value + "}"
			}
			total := float64(s.acked.count) + s.acked.seconds
			if m.kind == histogram {
				total = float64(s.acked.count)
			}
			if _, delta := sums[name]; delta != (m.kind != upDownCounter && release(t) >= m.since) {
				t.Errorf("%s: delta %v", name, delta)
			} else if delta {
				totals++
				if math.Abs(sums[name]-total) > 1e-9*total {
					t.Errorf("%s: the deltas add up to %v, the total is %v", name, sums[name], total)
				}
			}
		}
	}
	if totals < 4 || sums["go.memory.gc.cycles"] < 9 {
		t.Errorf("%d totals of %v", totals, sums)
	}
}

// The runtime's buckets fit between the bounds, so counts are exact, and the sum
// is within half a bucket.
func TestWithinBounds(t *testing.T) {
	inf := math.Inf(1)
	v := withinBounds(&metrics.Float64Histogram{
		Buckets: []float64{-inf, 0, 512e-9, 1024e-9, 2048e-9, 4096e-9, 1, 2, inf},
		Counts:  []uint64{1, 2, 3, 4, 5, 0, 6, 7},
	})
	if got, want := fmt.Sprint(v.buckets), "[6 9 0 0 0 0 0 0 0 0 0 13]"; got != want {
		t.Errorf("buckets %v, want %v", got, want)
	}
	if want := 2*256e-9 + 3*768e-9 + 4*1536e-9 + 5*3072e-9 + 6*1.5 + 7*2; v.count != 28 || math.Abs(v.seconds-want) > 1e-12 {
		t.Errorf("%d, %v, want %v", v.count, v.seconds, want)
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

// Before it is sent, an export allocates only its document, in one piece.
func TestAllocationsOfADocument(t *testing.T) {
	f := testedFormat()
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
	f := testedFormat()
	f.gzip = true
	for i := 0; i < 3; i++ {
		if i == 2 { // more than one block
			f.resource = resource("tested", [][2]string{{"long", strings.Repeat("x", 3<<16)}})
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
	for answer, want := range map[string]string{
		"":                                "",
		"\x0a\x00":                        "",
		"\x0a\x02\x08\x00":                "",
		"\x0a\x02\x08\x05":                "the endpoint rejected 5 data points; its own log says why",
		"\x0a\x04\x12\x02hi":              "warning: the endpoint accepted all data points with a warning; its own log has it",
		"\x0a\x08\x08\xac\x02\x12\x03two": "the endpoint rejected 300 data points; its own log says why",
		"\x0a\x7f\x08\x05":                "", // cut off
		"{\"partialSuccess\":{}}":         "",
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff": "",
	} {
		f, got := testedFormat(), ""
		f.log = func(lines ...string) { got += strings.Join(lines, "\n") }
		for i := 0; i < 2; i++ { // a warning comes once
			if err := f.delivered([]byte(answer)); err != nil {
				got = err.Error()
			}
		}
		if got != want {
			t.Errorf("%q: %q, want %q", answer, got, want)
		}
	}
}

func FuzzPartialSuccess(f *testing.F) {
	f.Add([]byte("\x0a\x08\x08\xac\x02\x12\x03two"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		f := testedFormat()
		f.log = func(...string) {}
		f.delivered(answer)
	})
}

func TestStatusesThatOTLPRetries(t *testing.T) {
	for status := 200; status < 600; status++ {
		want := status == 429 || status == 502 || status == 503 || status == 504
		if got := new(otlpFormat).retry(status); got != want {
			t.Errorf("%d: %v", status, got)
		}
	}
}

func BenchmarkOTLPDocument(b *testing.B) {
	f := testedFormat()
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		f.document()
	}
}
