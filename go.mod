module github.com/hmetrics/heroku-buildpack-go-metrics

go 1.19

require (
	github.com/hashicorp/go-retryablehttp v0.7.7
	github.com/kelseyhightower/envconfig v1.4.0
	github.com/rogpeppe/go-internal v1.11.0
	github.com/wcharczuk/go-chart/v2 v2.1.2
)

require (
	github.com/golang/freetype v0.0.0-20170609003504-e2365dfdc4a0 // indirect
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	golang.org/x/image v0.18.0 // indirect
	golang.org/x/sys v0.20.0 // indirect
	golang.org/x/tools v0.21.1-0.20240508182429-e35e4ccd0d2d // indirect
)
