module github.com/hmetrics/heroku-buildpack-go-metrics/test/dashboard

go 1.26.0

require (
	github.com/dsnet/try v0.0.3
	github.com/grafana/grafana-foundation-sdk/go v0.0.22
)
