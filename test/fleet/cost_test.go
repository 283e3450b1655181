package main

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
	points, series := len(e.Values)+len(e.Histograms), len(e.Values)+1 // target_info
	for _, h := range e.Histograms {
		series += len(h.Counts) + 2 // with the sum and the count
	}
	if table := cost(points, series, plain, compressed); !strings.Contains(string(try.E1(os.ReadFile("README.md"))), "\n"+table) {
		t.Errorf("test/fleet/README.md lacks\n%s", table)
	}
}

func cost(points, series int, plain, compressed int64) string {
	var s strings.Builder
	s.WriteString("| | 1 dyno | 100 dynos | 10,000 dynos |\n|---|---|---|---|\n")
	row := func(what string, of func(dynos int64) string) {
		fmt.Fprintf(&s, "| %s | %s | %s | %s |\n", what, of(1), of(100), of(10_000))
	}
	row("data points in an export", func(n int64) string { return humanize.Comma(n * int64(points)) })
	row("series in Prometheus", func(n int64) string { return humanize.Comma(n * int64(series)) })
	row("exports a day", func(n int64) string { return humanize.Comma(n * 24 * 60) })
	row(fmt.Sprintf("data a day, at %s bytes an export, %s with `gzip`", humanize.Comma(plain), humanize.Comma(compressed)),
		func(n int64) string { return humanize.Bytes(uint64(n * 24 * 60 * plain)) })
	return s.String()
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
