module github.com/hmetrics/heroku-buildpack-go-metrics/test/browser

go 1.26.0

require (
	github.com/chromedp/cdproto v0.159.0
	github.com/chromedp/chromedp v0.23.0
	github.com/dsnet/try v0.0.3
	github.com/hmetrics/heroku-buildpack-go-metrics v0.0.0
	github.com/hmetrics/heroku-buildpack-go-metrics/test v0.0.0
)

require (
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	github.com/hashicorp/go-retryablehttp v0.7.7 // indirect
	github.com/kelseyhightower/envconfig v1.4.0 // indirect
)

replace (
	github.com/hmetrics/heroku-buildpack-go-metrics => ../..
	github.com/hmetrics/heroku-buildpack-go-metrics/test => ..
)
