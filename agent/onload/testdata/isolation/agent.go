//go:build withagent

package main

import _ "github.com/hmetrics/heroku-buildpack-go-metrics/agent/onload"
