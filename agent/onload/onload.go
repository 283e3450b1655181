// Package onload reports the Go runtime's metrics to Heroku, and by OTLP to an
// OpenTelemetry Collector, from the moment it is imported:
//
//	import _ "github.com/hmetrics/heroku-buildpack-go-metrics/agent/onload"
//
// It takes the place of github.com/heroku/x/hmetrics/onload. Use it if you need
// not stop reporting, choose the endpoint or hear of errors; otherwise call Report
// of the package above it.
//
// Where the environment variable HEROKU_METRICS_URL is empty it does nothing: no
// goroutine, no timer. (If an init function sets DefaultEndpoint of the package
// above it, reporting starts with a garbage collection.) The same goes for one-off
// dynos (of heroku run, the release phase and Heroku Scheduler) unless HMETRICS_ONE_OFF is
// true. Should reporting end with an error, it starts again after 10 seconds, then
// 20, 30 and so on; five minutes of reporting reset that.
//
// By OTLP, protobuf over HTTP, it sends what OpenTelemetry's conventions for Go
// have where the environment variable
// OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_METRICS_ENDPOINT is set. It
// keeps to OpenTelemetry's own variables, defaults and rules for retries. The two
// destinations are independent of each other.
//
// With HMETRICS_VERBOSE true (1 or any other value that is true to
// strconv.ParseBool) it logs to the standard logger, under the prefix [hmetrics],
// when reporting begins, fails and recovers, and one interval after the start
// why it is off. Otherwise it writes nothing, and nothing that befalls it
// reaches the program.
//
// During one interval after the start it does nothing at all, so that main can set
// what the standard library reads once per process: the certificate roots and the
// time zone. It reads the proxy variables itself, at each report.
package onload

import "github.com/hmetrics/heroku-buildpack-go-metrics/agent/internal/start"

func init() { start.Reporting() }
