// Command usage uses everything that heroku/x/hmetrics exports.
package main

import (
	"context"
	"errors"
	"log"
	"time"

	"github.com/heroku/x/hmetrics"
	_ "github.com/heroku/x/hmetrics/onload"
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
	for {
		err := hmetrics.Report(context.Background(), hmetrics.DefaultEndpoint, handler)
		if f, ok := err.(fataler); ok && f.Fatal() || errors.As(err, &hmetrics.AlreadyStarted{}) || err == (hmetrics.HerokuMetricsURLUnset{}) {
			log.Fatal(err)
		}
		time.Sleep(time.Second)
	}
}
