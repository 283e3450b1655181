//go:build withagent

package main

import (
	"os"
	"runtime"
	"time"

	hmetrics "github.com/hmetrics/heroku-buildpack-go-metrics/agent"
	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/internal/start"
)

// Package main is initialized last, and so starts the agent, as the buildpack has it.
func init() {
	if endpoint := os.Getenv("DOTENV"); endpoint != "" {
		os.Setenv("HEROKU_METRICS_URL", endpoint)
	}
	if os.Getenv("TRAPS") != "" {
		os.Args = nil
	}
	start.Reporting()
	if endpoint := os.Getenv("LATER_ENDPOINT"); endpoint != "" {
		runtime.GC() // before it is set, and after it as a program at work does
		hmetrics.DefaultEndpoint = endpoint
		go func() {
			for range time.Tick(100 * time.Millisecond) {
				runtime.GC()
			}
		}()
	}
}
