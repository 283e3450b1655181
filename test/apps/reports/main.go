// Command reports is a web app that reports its runtime metrics by itself: a package that it
// imports imports github.com/heroku/x/hmetrics/onload.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"example.com/reports/internal/telemetry"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		telemetry.Requests.Add(1)
		fmt.Fprintln(w, r.URL.Path)
	})
	log.Fatal(http.ListenAndServe(":"+os.Getenv("PORT"), nil))
}
