module example.com/versions

go 1.18

require (
	github.com/hashicorp/go-cleanhttp v0.5.1
	github.com/hashicorp/go-retryablehttp v0.7.0
	github.com/kelseyhightower/envconfig v1.3.0
)
