// Command web serves jobs as JSON.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"
	"strconv"

	"example.com/two/internal/job"
)

func main() {
	http.HandleFunc("/jobs", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.FormValue("n"))
		if err != nil || n < 0 || n > 10000 {
			http.Error(w, "n must be a number from 0 to 10000", http.StatusBadRequest)
			return
		}
		jobs := make([]job.Job, n)
		for i := range jobs {
			jobs[i] = job.New(i)
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(jobs); err != nil {
			log.Println("writing jobs:", err)
		}
	})
	addr := ":" + os.Getenv("PORT")
	log.Println("web listens on", addr)
	log.Fatal(http.ListenAndServe(addr, nil))
}
