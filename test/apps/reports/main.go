// Command reports is a web app that reports its runtime metrics by itself: a
// package below main imports github.com/heroku/x/hmetrics/onload.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"example.com/reports/internal/telemetry"
)

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		telemetry.Requests.Add(1)
		fmt.Fprintln(w, echo(r.URL.Path, 100))
	})

	// Without a visitor there is nothing to collect, so the app visits itself.
	go func() {
		for range time.Tick(50 * time.Millisecond) {
			echo("/tick", 10000)
		}
	}()

	addr := ":" + os.Getenv("PORT")
	log.Println("reports listens on", addr)
	log.Fatal(http.ListenAndServe(addr, nil))
}

// echo returns s, n times.
func echo(s string, n int) string {
	var b strings.Builder
	for i := 0; i < n; i++ {
		fmt.Fprint(&b, s, " ")
	}
	return b.String()
}
