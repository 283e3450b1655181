// Command advanced tries again after errors that are not fatal.
package main

import (
	"context"
	"log"
	"time"

	"github.com/heroku/x/hmetrics"
)

func main() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for {
		err := hmetrics.Report(ctx, hmetrics.DefaultEndpoint, func(err error) error {
			log.Print("metrics: ", err)
			return nil
		})
		if f, ok := err.(interface{ Fatal() bool }); ok && f.Fatal() {
			log.Fatal(err)
		}
		time.Sleep(time.Second)
	}
}
