// Command worker does jobs until it is told to stop. It serves nothing and
// does not import net/http.
package main

import (
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"example.com/two/internal/job"
)

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()

	for done := 0; ; {
		select {
		case <-stop:
			log.Printf("worker stops after %d jobs", done)
			return
		case <-tick.C:
			for i := 0; i < 100; i++ {
				if _, err := job.New(done).Do(); err != nil {
					log.Fatal(err)
				}
				done++
			}
		}
	}
}
