// Command basic reports and cares about nothing.
package main

import (
	"context"

	"github.com/heroku/x/hmetrics"
)

func main() {
	go hmetrics.Report(context.Background(), hmetrics.DefaultEndpoint, nil)
	select {}
}
