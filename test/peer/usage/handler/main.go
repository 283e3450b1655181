// Command handler names all that the package exports.
package main

import (
	"context"
	"errors"
	"log"

	"github.com/heroku/x/hmetrics"
)

type fataler interface{ Fatal() bool }

var (
	_ error   = hmetrics.AlreadyStarted{}
	_ error   = hmetrics.HerokuMetricsURLUnset{}
	_ fataler = hmetrics.AlreadyStarted{}
	_ fataler = hmetrics.HerokuMetricsURLUnset{}

	_ func(context.Context, string, hmetrics.ErrHandler) error = hmetrics.Report
)

func handle(err error) error {
	log.Print(err)
	return nil
}

func main() {
	hmetrics.DefaultEndpoint = "https://example.com/"
	var handler hmetrics.ErrHandler = handle
	err := hmetrics.Report(context.Background(), hmetrics.DefaultEndpoint, handler)
	if errors.As(err, &hmetrics.AlreadyStarted{}) || err == (hmetrics.HerokuMetricsURLUnset{}) {
		log.Fatal(err)
	}
}
