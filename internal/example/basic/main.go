// Command basic serves HTTP and reports metrics. It ignores errors and never stops
// reporting.
package main

import (
	"context"
	"log"
	"net/http"
	"os"

	hmetrics "github.com/hmetrics/heroku-buildpack-go-metrics/agent"
)

func main() {
	go hmetrics.Report(context.Background(), hmetrics.DefaultEndpoint, nil)

	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
