// Command versions uses the libraries that the agent uses, at older versions.
package main

import (
	"fmt"

	cleanhttp "github.com/hashicorp/go-cleanhttp"
	retryablehttp "github.com/hashicorp/go-retryablehttp"
	"github.com/kelseyhightower/envconfig"
)

func main() {
	var settings struct{ Absent string }
	if envconfig.Process("app", &settings) == nil && retryablehttp.NewClient().HTTPClient != cleanhttp.DefaultClient() {
		fmt.Println("works")
	}
	select {}
}
