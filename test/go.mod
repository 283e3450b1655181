module github.com/hmetrics/heroku-buildpack-go-metrics/test

go 1.26.0

require (
	github.com/cli/browser v1.3.0
	github.com/dsnet/try v0.0.3
	github.com/dustin/go-humanize v1.1.0
	github.com/hmetrics/heroku-buildpack-go-metrics v0.0.0
	github.com/otiai10/copy v1.14.1
	github.com/prometheus/procfs v0.23.0
	github.com/rogpeppe/go-internal v1.16.0
	golang.org/x/mod v0.42.0
	golang.org/x/perf v0.0.0-20260908200009-22c9c6c9d4da
	golang.org/x/sync v0.24.0
	golang.org/x/term v0.48.0
)

require (
	github.com/aclements/go-moremath v0.0.0-20210112150236-f10218a38794 // indirect
	github.com/otiai10/mint v1.6.3 // indirect
	golang.org/x/sys v0.50.0 // indirect
	golang.org/x/tools v0.52.0 // indirect
)

replace github.com/hmetrics/heroku-buildpack-go-metrics => ../
