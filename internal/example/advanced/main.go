// Command advanced serves HTTP and reports metrics. It stops reporting only after fatal
// errors, and delivers what is pending before it exits.
package main

import (
	"context"
	"log"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	hmetrics "github.com/hmetrics/heroku-buildpack-go-metrics/agent"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()

	reported := make(chan struct{})
	go func() {
		defer close(reported)
		report(ctx)
	}()

	server := &http.Server{Addr: ":" + os.Getenv("PORT")}
	go func() {
		if err := server.ListenAndServe(); err != http.ErrServerClosed {
			log.Fatal(err)
		}
	}()
	<-ctx.Done()
	server.Shutdown(context.Background())
	<-reported
}

func report(ctx context.Context) {
	for ctx.Err() == nil {
		err := hmetrics.Report(ctx, hmetrics.DefaultEndpoint, func(err error) error {
			log.Print(err)
			return nil
		})
		if err == nil {
			return
		}
		log.Print(err)
		if f, ok := err.(interface{ Fatal() bool }); ok && f.Fatal() {
			return
		}
		select {
		case <-time.After(10 * time.Second):
		case <-ctx.Done():
		}
	}
}
