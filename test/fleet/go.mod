// Its path is below agent's, so that a simulated dyno may be the agent's own
// internal reporter.
module github.com/hmetrics/heroku-buildpack-go-metrics/agent/fleet

go 1.26.0

require (
	github.com/dsnet/try v0.0.3
	github.com/dustin/go-humanize v1.1.0
	github.com/hmetrics/heroku-buildpack-go-metrics v0.0.0
	github.com/hmetrics/heroku-buildpack-go-metrics/test v0.0.0
	github.com/prometheus/common v0.73.1
	github.com/prometheus/procfs v0.23.0
	gonum.org/v1/plot v0.17.0
)

require (
	codeberg.org/go-fonts/liberation v0.5.0 // indirect
	codeberg.org/go-latex/latex v0.2.0 // indirect
	codeberg.org/go-pdf/fpdf v0.11.1 // indirect
	git.sr.ht/~sbinet/gg v0.7.0 // indirect
	github.com/ajstarks/svgo v0.0.0-20211024235047-1546f124cd8b // indirect
	github.com/golang/freetype v0.0.0-20170609003504-e2365dfdc4a0 // indirect
	github.com/hashicorp/go-cleanhttp v0.5.2 // indirect
	github.com/hashicorp/go-retryablehttp v0.7.7 // indirect
	github.com/kelseyhightower/envconfig v1.4.0 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	golang.org/x/image v0.30.0 // indirect
	golang.org/x/sys v0.50.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace (
	github.com/hmetrics/heroku-buildpack-go-metrics => ../..
	github.com/hmetrics/heroku-buildpack-go-metrics/test => ..
)
