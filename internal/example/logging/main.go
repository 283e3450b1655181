// Command logging serves HTTP and reports metrics, and logs errors.
package main

import (
	"context"
	"log"
	"net/http"
	"os"

	hmetrics "github.com/hmetrics/heroku-buildpack-go-metrics/agent"
)

func main() {
	go func() {
		err := hmetrics.Report(context.Background(), hmetrics.DefaultEndpoint, func(err error) error {
			log.Print(err)
			return nil
		})
		log.Print("no metrics are reported: ", err)
	}()

	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
