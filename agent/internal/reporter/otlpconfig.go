package reporter

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
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

// OTLPIsOn reports whether there is an endpoint for OTLP. Without one, nothing else is done:
// unlike the specification's default, nothing is sent to localhost unasked.
func OTLPIsOn() bool {
	return os.Getenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") != "" || os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") != ""
}

// A variable is one of OpenTelemetry's. An empty one counts as not set.
type variable struct{ name, value string }

// otel returns the first of the variables that is set.
func otel(names ...string) (v variable) {
	for _, name := range names {
		if v = (variable{"OTEL_" + name, strings.TrimSpace(os.Getenv("OTEL_" + name))}); v.value != "" {
			break
		}
	}
	return v
}

// exporter returns the variable for metrics or, if that is not set, for all signals.
func exporter(name string) variable {
	return otel("EXPORTER_OTLP_METRICS_"+name, "EXPORTER_OTLP_"+name)
}

func (o *Options) milliseconds(v variable, standard time.Duration) time.Duration {
	n, err := strconv.Atoi(v.value)
	if err == nil && n >= 100 && n <= 1<<30 {
		return time.Duration(n) * time.Millisecond
	} else if v.value != "" {
		o.bad(v.name, "a number of milliseconds, at least 100", standard.Milliseconds())
	}
	return standard
}

// choice returns the variable's value if it is accepted, and the first accepted one if not.
func (o *Options) choice(v variable, accepted ...string) string {
	for _, value := range accepted {
		if strings.EqualFold(v.value, value) {
			return value
		}
	}
	if v.value != "" {
		o.bad(v.name, strings.Join(accepted, " or "), accepted[0])
	}
	return accepted[0]
}

// OTLP returns a Reporter to the endpoint that the environment names, and the options, with
// those changed that OpenTelemetry's variables set:
// https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/.
// Other is the import path of a package in the program that exports the runtime's metrics by
// OTLP if it is started, or empty.
func OTLP(o Options, other string) (*Reporter, Options) {
	f := newOTLPFormat(instruments())
	o.Config.Prefix = "OTLP: "
	o.Config.Interval = o.milliseconds(otel("METRIC_EXPORT_INTERVAL"), time.Minute)
	o.Config.Timeout = o.milliseconds(exporter("TIMEOUT"), 10*time.Second)
	preference := o.choice(otel("EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"), "cumulative", "delta", "lowmemory")
	f.delta = [kinds]bool{counter: preference == "delta", histogram: preference != "cumulative"}
	f.gzip = o.choice(exporter("COMPRESSION"), "none", "gzip") == "gzip"
	f.requests = o.headers(f.gzip)
	attributes, odd := pairs(otel("RESOURCE_ATTRIBUTES"))
	if odd {
		o.bad("OTEL_RESOURCE_ATTRIBUTES", "key=value,key=value, with values that are percent-encoded", "none of it")
		attributes = nil
	}
	f.resource = resource(otel("SERVICE_NAME").value, attributes)
	disabled := o.choice(otel("SDK_DISABLED"), "false", "true") == "true"

	// The log names settings that ask for what the agent does not do.
	o.choice(otel("METRICS_EXEMPLAR_FILTER"), "trace_based", "always_off")
	o.choice(otel("EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"), "explicit_bucket_histogram")
	o.choice(exporter("INSECURE"), "false")
	for _, v := range []variable{otel("CONFIG_FILE"), otel("EXPERIMENTAL_CONFIG_FILE"), otel("ENTITIES"), otel("METRIC_EXPORT_TIMEOUT")} {
		if v.value != "" {
			o.Problems = append(o.Problems, v.name+" is not supported")
		}
	}

	endpoint, err := otlpEndpoint()
	o.Endpoint = func() string { return endpoint.String() }
	t := newTransport()
	f.certificates, f.log = certificates{exporter("CERTIFICATE"), exporter("CLIENT_CERTIFICATE"), exporter("CLIENT_KEY"), t.tls}, o.Config.Log
	o.dependencies = &dependencies{otlpTransport{t}, random}
	chosen := strings.ReplaceAll(strings.ToLower(otel("METRICS_EXPORTER").value), " ", "") // it may be a list
	switch protocol := exporter("PROTOCOL").value; {
	case other == module+"/agent/onload":
		o.Off = LinkedBeside(other)
	case other != "" && chosen == "":
		o.Off = LinkedBeside(other) + ": if it is never started, set OTEL_METRICS_EXPORTER=otlp"
	case disabled:
		o.Off = "OTEL_SDK_DISABLED is true"
	case chosen != "" && !strings.Contains(","+chosen+",", ",otlp,"):
		o.Off = "OTEL_METRICS_EXPORTER is not otlp"
	case protocol != "" && !strings.EqualFold(protocol, "http/protobuf"):
		o.Off = fmt.Sprintf("the protocol %q is not supported: set OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=http/protobuf, and the endpoint to the port for that, usually 4318", protocol)
	case err != nil:
		o.Off = exporter("ENDPOINT").name + " is not an http or https URL with a host, such as http://collector:4318"
	}
	return &Reporter{format: f}, o
}

// LinkedBeside returns the reason why the agent is off beside another reporter.
func LinkedBeside(other string) string {
	return "this program links " + other + ", and two reporters would count everything twice"
}

// otlpEndpoint returns the URL for metrics unchanged, or else the one for all signals with
// the specification's path and, as in OpenTelemetry's SDK, without a query.
func otlpEndpoint() (*url.URL, error) {
	if v := otel("EXPORTER_OTLP_METRICS_ENDPOINT"); v.value != "" {
		return parseEndpoint(v.value)
	}
	base := otel("EXPORTER_OTLP_ENDPOINT").value
	base = base[:strings.IndexAny(base+"?", "?#")]
	return parseEndpoint(strings.TrimRight(base, "/") + "/v1/metrics")
}

// headers returns the headers of each request.
func (o *Options) headers(gzip bool) http.Header {
	all := http.Header{"Content-Type": {"application/x-protobuf"}}
	if gzip {
		all.Set("Content-Encoding", "gzip")
	}
	v := exporter("HEADERS")
	chosen, odd := pairs(v)
	for _, h := range chosen {
		if !allowed(h[0], h[1]) {
			odd = true
			continue
		}
		all.Set(h[0], h[1])
	}
	if odd {
		o.Problems = append(o.Problems, v.name+" must be key=value,key=value, with names and percent-encoded values that HTTP allows: leaving out the others")
	}
	return all
}

// allowed reports whether the user may set the header: RFC 9110 must allow it, and it must
// not be one that the agent sets.
func allowed(name, value string) bool {
	const ours = " connection content-encoding content-length content-type expect host keep-alive te trailer transfer-encoding upgrade "
	return !strings.Contains(ours, " "+strings.ToLower(name)+" ") &&
		strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("\"(),/:;<=>?@[\\]{}", r) }) < 0 &&
		strings.IndexFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) < 0
}

// pairs reads a list of the form key=value,key=value with percent-encoded values. odd says
// that some part has another form.
func pairs(v variable) (pairs [][2]string, odd bool) {
	for _, item := range strings.Split(v.value, ",") {
		key, value, found := strings.Cut(item, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if key = strings.TrimSpace(key); found && key != "" && err == nil {
			pairs = append(pairs, [2]string{key, value})
		} else if strings.TrimSpace(item) != "" {
			odd = true
		}
	}
	return pairs, odd
}

// resource returns the encoded fields of the Resource, which identifies the process. The
// user's attributes take precedence over the detected ones.
func resource(service string, chosen [][2]string) []byte {
	var heroku struct{ App_Name, App_ID, Release_Version, Release_Created_At, Slug_Commit string }
	_ = envconfig.Process("HEROKU", &heroku)
	// Dynos reuse names, and a dyno may have many processes.
	instance, provider := fmt.Sprintf("%016x%016x", new(maphash.Hash).Sum64(), new(maphash.Hash).Sum64()), ""
	if dyno := os.Getenv("DYNO"); dyno != "" {
		instance, provider = dyno+"."+instance, "heroku"
	}
	exe, _ := os.Executable() // os.Args is the app's to change
	all := append([][2]string{
		{"telemetry.distro.version", version},
		{"telemetry.distro.name", "heroku-buildpack-go-metrics"},
		{"telemetry.sdk.language", "go"},
		{"heroku.release.creation_timestamp", heroku.Release_Created_At},
		{"heroku.release.commit", heroku.Slug_Commit},
		{"heroku.app.id", heroku.App_ID},
		{"cloud.provider", provider},
		{"service.instance.id", instance},
		{"service.version", heroku.Release_Version},
		{"service.name", "unknown_service:" + filepath.Base(exe)},
		{"service.name", heroku.App_Name},
	}, chosen...)
	all = append(all, [2]string{"service.name", service})
	e, had := encoder{}, map[string]bool{}
	for i := len(all) - 1; i >= 0; i-- { // the last of a name wins
		// A protobuf string is UTF-8. Otherwise a strict receiver refuses the whole
		// document.
		if key := strings.ToValidUTF8(all[i][0], "\uFFFD"); !had[key] && all[i][1] != "" {
			had[key] = true
			e.attribute(1, key, strings.ToValidUTF8(all[i][1], "\uFFFD"))
		}
	}
	return e
}

// certificates are read from files that variables name.
type certificates struct {
	authority, client, key variable
	tls                    *tls.Config // of the transport, before its first use; nil once it has them
}

// load reads the files into the transport's configuration. If the file of authorities cannot
// be read, it returns an error, and must be called again.
func (c *certificates) load(log func(lines ...string)) error {
	if c.tls == nil {
		return nil
	}
	if c.authority.value != "" {
		pem, err := os.ReadFile(c.authority.value)
		if c.tls.RootCAs = x509.NewCertPool(); err != nil || !c.tls.RootCAs.AppendCertsFromPEM(pem) {
			return errors.New(c.authority.name + " must be a file of certificates in PEM: nothing is sent without it")
		}
	}
	if c.client.value != "" || c.key.value != "" {
		pair, err := tls.LoadX509KeyPair(c.client.value, c.key.value)
		if err != nil {
			log(c.client.name + " and " + c.key.name + " must be files of a certificate and its key in PEM: continuing without them")
		} else {
			c.tls.Certificates = []tls.Certificate{pair}
		}
	}
	c.tls = nil
	return nil
}

// errGRPC ends the attempts: the next one would get the same answer.
var errGRPC = reason{text: "the endpoint speaks gRPC: set OTEL_EXPORTER_OTLP_ENDPOINT to its port for HTTP, usually 4318"}

// An otlpTransport recognizes answers of gRPC: HTTP/2 begins with SETTINGS.
type otlpTransport struct{ *transport }

func (t otlpTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.transport.RoundTrip(r)
	if errors.Is(err, errHTTP2) || err == nil && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/grpc") {
		return nil, errGRPC
	}
	return resp, err
}
