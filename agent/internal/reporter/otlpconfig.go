package reporter

import (
	"fmt"
	"hash/maphash"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/kelseyhightower/envconfig"
)

const (
	module  = "github.com/hmetrics/heroku-buildpack-go-metrics"
	version = "0.1.0" // as in buildpack.toml
)

// OTLPIsOn says whether there is an endpoint for OTLP. This is all that is done
// where there is none: nothing is sent to localhost unasked, which is what the
// specification has otherwise.
func OTLPIsOn() bool {
	return os.Getenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != ""
}

// An option is the value of a variable. An empty variable is one that is not set.
type option string

func (o *option) Set(value string) error {
	if value = strings.TrimSpace(value); value != "" {
		*o = option(value)
	}
	return nil
}

// OTLP returns a Reporter to the endpoint that the environment names, and what
// becomes of the options that both destinations have in common by the variables
// of https://opentelemetry.io/docs/specs/otel/protocol/exporter/.
func OTLP(o Options) (*Reporter, Options) {
	var otel struct{ SDK_Disabled, Metrics_Exporter, Metric_Export_Interval, Service_Name, Resource_Attributes option }
	var otlp struct{ Endpoint, Headers, Timeout, Compression, Protocol option }
	_ = envconfig.Process("OTEL", &otel)
	_ = envconfig.Process("OTEL_EXPORTER_OTLP", &otlp)
	if otlp.Endpoint != "" {
		otlp.Endpoint = option(strings.TrimRight(string(otlp.Endpoint), "/")) + "/v1/metrics"
	}
	_ = envconfig.Process("OTEL_EXPORTER_OTLP_METRICS", &otlp) // what it sets wins

	bad := func(name, accepts string) { o.Problems = append(o.Problems, "OTEL_"+name+" must be "+accepts) }
	milliseconds := func(name string, value option, standard time.Duration) time.Duration {
		n, err := strconv.Atoi(string(value))
		if err == nil && n >= 100 && n <= 1<<30 {
			return time.Duration(n) * time.Millisecond
		} else if value != "" {
			bad(name, fmt.Sprintf("a number of milliseconds, at least 100: using %d", standard.Milliseconds()))
		}
		return standard
	}
	o.Config.Prefix = "OTLP: "
	o.Config.Interval = milliseconds("METRIC_EXPORT_INTERVAL", otel.Metric_Export_Interval, time.Minute)
	o.Config.Timeout = milliseconds("EXPORTER_OTLP_TIMEOUT", otlp.Timeout, 10*time.Second)

	f := &otlpFormat{requests: http.Header{"Content-Type": {"application/x-protobuf"}}}
	if f.gzip = otlp.Compression == "gzip"; f.gzip {
		f.requests.Set("Content-Encoding", "gzip")
	} else if otlp.Compression != "" && otlp.Compression != "none" {
		bad("EXPORTER_OTLP_COMPRESSION", "gzip or none: using none")
	}
	for key, value := range pairs(otlp.Headers, "EXPORTER_OTLP_HEADERS", bad) {
		f.requests.Set(key, value)
	}
	f.resource = resource(otel.Service_Name, pairs(otel.Resource_Attributes, "RESOURCE_ATTRIBUTES", bad))

	endpoint, err := parseEndpoint(string(otlp.Endpoint))
	o.Endpoint = func() string { return endpoint.String() }
	switch {
	case strings.EqualFold(string(otel.SDK_Disabled), "true"):
		o.Off = "OTEL_SDK_DISABLED is true"
	case otel.Metrics_Exporter != "" && !strings.Contains(string(otel.Metrics_Exporter), "otlp"): // it may be a list
		o.Off = "OTEL_METRICS_EXPORTER is not otlp"
	case otlp.Protocol != "" && otlp.Protocol != "http/protobuf":
		o.Off = fmt.Sprintf("the protocol %q is not supported: set OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=http/protobuf, and the endpoint to the port for that, usually 4318", string(otlp.Protocol))
	case err != nil:
		o.Off = "OTEL_EXPORTER_OTLP_ENDPOINT is not an http or https URL with a host, such as http://collector:4318"
	}
	return &Reporter{format: f}, o
}

// pairs reads a list of the form key=value,key=value with percent-encoded
// values. If it has another form, pairs says so of the variable and returns nil.
func pairs(list option, name string, bad func(name, accepts string)) map[string]string {
	pairs := map[string]string{}
	for _, item := range strings.Split(string(list), ",") {
		key, value, found := strings.Cut(item, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if key = strings.TrimSpace(key); found && key != "" && err == nil {
			pairs[key] = value
		} else if strings.TrimSpace(item) != "" {
			bad(name, "key=value,key=value, with values that are percent-encoded: using none of it")
			return nil
		}
	}
	return pairs
}

// resource returns the encoded fields of the Resource that says what process this
// is. Attributes that the user sets win over those that are found out.
func resource(service option, chosen map[string]string) []byte {
	var heroku struct{ App_Name, App_ID, Release_Version, Release_Created_At, Slug_Commit string }
	_ = envconfig.Process("HEROKU", &heroku)
	// The name of a dyno is used again, and a dyno may have many processes.
	instance, provider := fmt.Sprintf("%016x%016x", new(maphash.Hash).Sum64(), new(maphash.Hash).Sum64()), ""
	if dyno := os.Getenv("DYNO"); dyno != "" {
		instance, provider = dyno+"."+instance, "heroku"
	}
	exe, _ := os.Executable() // os.Args is the app's to change
	all := [][2]string{{"service.name", string(service)}}
	for key, value := range chosen {
		all = append(all, [2]string{key, value})
	}
	all = append(all, [][2]string{
		{"service.name", heroku.App_Name},
		{"service.name", "unknown_service:" + filepath.Base(exe)},
		{"service.version", heroku.Release_Version},
		{"service.instance.id", instance},
		{"cloud.provider", provider},
		{"heroku.app.id", heroku.App_ID},
		{"heroku.release.commit", heroku.Slug_Commit},
		{"heroku.release.creation_timestamp", heroku.Release_Created_At},
		{"telemetry.sdk.language", "go"},
		{"telemetry.distro.name", "heroku-buildpack-go-metrics"},
		{"telemetry.distro.version", version},
	}...)
	e, had := encoder{}, map[string]bool{}
	for _, a := range all { // the first of a name wins
		if !had[a[0]] && a[1] != "" {
			had[a[0]] = true
			e.attribute(1, a[0], a[1])
		}
	}
	return e
}
