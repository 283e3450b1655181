module github.com/hmetrics/heroku-buildpack-go-metrics/test/peer

go 1.25.0

require (
	github.com/dsnet/try v0.0.3
	github.com/heroku/x v0.6.2
	github.com/hmetrics/heroku-buildpack-go-metrics v0.0.0
)

require (
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	github.com/hashicorp/go-retryablehttp v0.7.7 // indirect
	github.com/kelseyhightower/envconfig v1.4.0 // indirect
)

replace github.com/hmetrics/heroku-buildpack-go-metrics => ../..
