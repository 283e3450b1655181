// Command plain is a small web app with something to measure: every request builds a page that
// the garbage collector removes.
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	http.HandleFunc("/", page)

	// Without a visitor there is nothing to collect, so the app visits itself.
	go func() {
		for range time.Tick(50 * time.Millisecond) {
			render(1000)
		}
	}()

	addr := ":" + os.Getenv("PORT")
	log.Println("plain listens on", addr)
	log.Fatal(http.ListenAndServe(addr, nil))
}

func page(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, render(100))
}

// render returns a list of n items, built from as many small strings.
func render(n int) string {
	items := make([]string, n)
	for i := range items {
		items[i] = fmt.Sprintf("<li>item %d</li>", i)
	}
	return "<ul>" + strings.Join(items, "\n") + "</ul>\n"
}
