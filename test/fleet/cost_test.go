package fleet

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/dsnet/try"
	"github.com/dustin/go-humanize"
	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/internal/reporter"
	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
)

// The figures in test/fleet/README.md are those of an export with every metric.
func TestCost(t *testing.T) {
	debug.SetMemoryLimit(1 << 30)
	t.Setenv("DYNO", "web.1")
	t.Setenv("OTEL_SERVICE_NAME", "my-app")
	t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "100")
	e, plain := exported(t, "none")
	_, compressed := exported(t, "gzip")
	figures := fmt.Sprintf("has %d data points and %s bytes, %s with `gzip`", len(e.Values)+len(e.Histograms), humanize.Comma(plain), humanize.Comma(compressed))
	if !strings.Contains(string(try.E1(os.ReadFile("README.md"))), figures) {
		t.Errorf("test/fleet/README.md does not say that an export %s", figures)
	}
}

// exported returns an export and the length of its document as it was sent.
func exported(t *testing.T, compression string) (e endpoint.Export, length int64) {
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := io.Reader(r.Body)
		if compression == "gzip" {
			body = try.E1(gzip.NewReader(body))
		}
		e, length = try.E1(endpoint.ParseExport(try.E1(io.ReadAll(body)))), r.ContentLength
	}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
	r, o := reporter.OTLP(reporter.FromEnvironment(), "")
	o.Delivered, o.Failed = cancel, func(err error) error { cancel(); return err }
	try.E(r.Run(ctx, o))
	return e, length
}
