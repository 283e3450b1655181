package reporter

import (
	"bytes"
	"compress/gzip"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
)

// A backend refuses what its documentation excludes.
type backend struct {
	title       string // in ../../backends.md
	url         string
	headers     []string // name: value
	temporality string   // of counters and histograms; empty: either
}

var backends = []backend{
	{"Datadog", "https://otlp.datadoghq.com/v1/metrics", []string{"Dd-Api-Key: API_KEY"}, "delta"},
	{"New Relic", "https://otlp.nr-data.net/v1/metrics", []string{"Api-Key: LICENSE_KEY"}, ""},
	{"Dynatrace", "https://ENVIRONMENT.live.dynatrace.com/api/v2/otlp/v1/metrics", []string{"Authorization: Api-Token TOKEN"}, "delta"},
	{"Grafana Cloud", "https://otlp-gateway-REGION.grafana.net/otlp/v1/metrics", []string{"Authorization: Basic TOKEN"}, "cumulative"},
	{"Honeycomb", "https://api.honeycomb.io/v1/metrics", []string{"X-Honeycomb-Team: API_KEY", "X-Honeycomb-Dataset: DATASET"}, ""},
	{"OpenTelemetry Collector", "https://collector.example.com:4318/v1/metrics", nil, ""},
}

// refuse returns why the backend refuses a request, or nil.
func (b backend) refuse(r *http.Request) error {
	if got := "https://" + r.Host + r.RequestURI; r.TLS == nil || r.Method != http.MethodPost || got != b.url {
		return fmt.Errorf("%s %s", r.Method, got)
	}
	for _, h := range b.headers {
		name, value, _ := strings.Cut(h, ": ")
		if got := r.Header.Get(name); got != value {
			return fmt.Errorf("%s is %q", name, got)
		}
	}
	if kind := r.Header.Get("Content-Type"); kind != "application/x-protobuf" {
		return fmt.Errorf("Content-Type is %q", kind)
	}
	body, err := io.ReadAll(r.Body)
	if encoding := r.Header.Get("Content-Encoding"); err == nil && encoding == "gzip" {
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, err = io.ReadAll(z)
		}
	} else if encoding != "" {
		return fmt.Errorf("Content-Encoding is %q", encoding)
	}
	if err != nil {
		return err
	}
	e, err := endpoint.ParseExport(body) // it lets only counters and histograms be deltas
	if err != nil || b.temporality == "" {
		return err
	}
	deltas := strings.Join(e.Deltas, " ")
	for _, name := range []string{"go.memory.gc.cycles", "go.schedule.duration"} {
		if strings.Contains(deltas, name) != (b.temporality == "delta") {
			return fmt.Errorf("%s is not %s", name, b.temporality)
		}
	}
	return nil
}

// configured returns what the lines below a backend's title in the page set.
func configured(t *testing.T, title string) []string {
	t.Helper()
	page, err := os.ReadFile("../../backends.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)\n## " + title + "\n\n```sh\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatalf("the page has no commands for %s", title)
	}
	out, err := exec.Command("sh", "-euc", `heroku() { [ "$1" = config:set ]; shift; printf '%s\n' "$@"; }`+"\n"+string(block[1])).Output()
	if err != nil {
		t.Fatalf("%s: %v", block[1], err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}

// With the page's commands, each backend accepts an export. Without any one of the lines it
// refuses, except that some backends accept both temporalities.
func TestBackends(t *testing.T) {
	for _, b := range backends {
		t.Run(b.title, func(t *testing.T) {
			lines := configured(t, b.title)
			for _, more := range []string{"_COMPRESSION=none", "_COMPRESSION=gzip"} {
				if refusals, delivered := b.export(t, append(lines, more)); !delivered {
					t.Errorf("%q is refused: %q", lines, refusals)
				}
			}
			for i, line := range lines {
				others := append(append([]string{}, lines[:i]...), lines[i+1:]...)
				switch taste := strings.Contains(line, "TEMPORALITY") && b.temporality == ""; {
				case strings.Contains(line, "ENDPOINT"):
					if _, o := withOTLP(t, others...); OTLPIsOn() || len(o.Problems) > 0 {
						t.Errorf("without %s it is on, or %q", line, o.Problems)
					}
				default:
					if refusals, delivered := b.export(t, others); delivered != taste {
						t.Errorf("without %s: delivered %v, refused %q", line, delivered, refusals)
					}
				}
			}
		})
	}
	page, err := os.ReadFile("../../backends.md")
	if n := bytes.Count(page, []byte("```sh\n")); err != nil || n != len(backends) {
		t.Errorf("the page has %d backends, %d are tested, %v", n, len(backends), err)
	}
}

// export makes one export with the variables to the backend, through a proxy.
func (b backend) export(t *testing.T, set []string) (refusals []string, delivered bool) {
	t.Helper()
	u, err := url.Parse(b.url)
	if err != nil {
		t.Fatal(err)
	}
	refused := make(chan string, 100)
	a := newAuthority(t)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := b.refuse(r); err != nil {
			refused <- err.Error()
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	s.TLS, s.EnableHTTP2 = a.config(t, func(c *x509.Certificate) { c.DNSNames = []string{u.Hostname()} }), true
	s.StartTLS()
	defer s.Close()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tunnel(w, s.Listener.Addr().String()) }))
	defer proxy.Close()
	for _, name := range proxyVariables {
		t.Setenv(name, "")
	}
	t.Setenv("HTTPS_PROXY", proxy.URL)
	_, delivered = exportUntil(t, once, append(append([]string{}, set...), "_CERTIFICATE="+writePEM(t, "CERTIFICATE", a.cert.Raw))...)
	s.Close() // after the last request
	close(refused)
	for r := range refused {
		refusals = append(refusals, r)
	}
	return refusals, delivered
}

// tunnel answers CONNECT with a connection to the address, whatever the request names.
func tunnel(w http.ResponseWriter, address string) {
	to, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer to.Close()
	from, sent, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer from.Close()
	io.WriteString(from, "HTTP/1.1 200 OK\r\n\r\n") // not before: the server would read some of what comes then
	go io.Copy(to, sent)
	io.Copy(from, to)
}
