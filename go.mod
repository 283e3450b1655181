module github.com/hmetrics/heroku-buildpack-go-metrics

go 1.19

require (
	github.com/hashicorp/go-retryablehttp v0.7.7
	github.com/kelseyhightower/envconfig v1.4.0
)

require github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
