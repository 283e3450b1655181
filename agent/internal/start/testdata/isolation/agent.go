//go:build withagent

package main

import (
	"os"
	"runtime"
	"time"

	hmetrics "github.com/hmetrics/heroku-buildpack-go-metrics/agent"
	_ "github.com/hmetrics/heroku-buildpack-go-metrics/agent/onload"
)

// Package main is initialized last.
func init() {
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
