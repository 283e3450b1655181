package hmetrics_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os/signal"
	"syscall"
	"time"

	hmetrics "github.com/hmetrics/heroku-buildpack-go-metrics/agent"
)

// A program that ignores errors and never stops reporting.
func ExampleReport_basic() {
	go hmetrics.Report(context.Background(), hmetrics.DefaultEndpoint, nil)

	// Output:
}

// A program that logs errors.
func ExampleReport_logging() {
	err := hmetrics.Report(context.Background(), "", func(err error) error {
		log.Println("reporting metrics:", err)
		return nil
	})
	fmt.Println(err)

	// Output:
	// reporting Go metrics: HEROKU_METRICS_URL is not set: enable it with heroku labs:enable runtime-heroku-metrics
}

// A program that tries again after errors that are not fatal, gives up after fatal ones,
// and delivers what is pending before it exits.
func ExampleReport_advanced() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()

	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			err := hmetrics.Report(ctx, hmetrics.DefaultEndpoint, func(err error) error {
				log.Println("reporting metrics:", err)
				return nil
			})
			if f, ok := err.(interface{ Fatal() bool }); ok && f.Fatal() {
				fmt.Println("fatal:", errors.As(err, &hmetrics.HerokuMetricsURLUnset{}))
				return
			}
			select {
			case <-time.After(10 * time.Second):
			case <-ctx.Done():
			}
		}
	}()

	// Serve here until ctx is done.

	<-done
	// Output:
	// fatal: true
}
