// Package onload reports the Go runtime's metrics to Heroku, and by OTLP to an
// OpenTelemetry Collector, from the moment it is imported:
//
//	import _ "github.com/hmetrics/heroku-buildpack-go-metrics/agent/onload"
//
// It replaces github.com/heroku/x/hmetrics/onload. To stop reporting, to choose the
// endpoint or to handle errors, call Report of package hmetrics instead.
//
// If the environment variable HEROKU_METRICS_URL is empty, onload starts no goroutine and
// no timer. (If an init function sets hmetrics.DefaultEndpoint, reporting starts with the
// next garbage collection.) It does not report from one-off dynos (heroku run, the release
// phase and Heroku Scheduler) unless HMETRICS_ONE_OFF is true. If reporting ends with an
// error, it starts again after 10 seconds, then after 20, 30 and so on. Five minutes of
// reporting reset that.
//
// If the environment variable OTEL_EXPORTER_OTLP_ENDPOINT or
// OTEL_EXPORTER_OTLP_METRICS_ENDPOINT is set, onload exports the metrics of OpenTelemetry's
// conventions for Go by OTLP, protobuf over HTTP. It follows OpenTelemetry's variables,
// defaults and rules for retries. The two destinations do not depend on each other.
//
// If HMETRICS_VERBOSE is true (1, or any other value that strconv.ParseBool takes for
// true), onload logs to the standard logger with the prefix [hmetrics]. It logs when
// reporting begins, fails and recovers, and one interval after the start why it is off.
// Otherwise it writes nothing. No failure of it reaches the program.
//
// During the first interval, onload does nothing at all, so that main can set what the
// standard library reads once per process: the certificate roots and the time zone. It
// reads the proxy variables itself, at each report.
package onload

import "github.com/hmetrics/heroku-buildpack-go-metrics/agent/internal/start"

func init() { start.Reporting() }
