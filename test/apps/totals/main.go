// Command totals is a web app that works on request, and answers with the runtime's counts since
// its start. If READ is set, it reads them ten times a second, which allocates nothing, so that
// reading does not change them.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A reading has the counts at some time between Begin and End, in the order of the names of
// package runtime/metrics. For histograms, it has the number of values.
type reading struct {
	Begin, End time.Time
	Totals     []float64
}

var (
	names   []string
	samples []metrics.Sample

	mu       sync.Mutex
	readings [600]reading // of the last minute, in a ring
)

func main() {
	for _, d := range metrics.All() {
		if d.Cumulative && !strings.HasPrefix(d.Name, "/godebug/") {
			names = append(names, d.Name)
			samples = append(samples, metrics.Sample{Name: d.Name})
		}
	}
	for i := range readings {
		readings[i].Totals = make([]float64, len(names))
	}
	if os.Getenv("READ") != "" {
		go readMetrics()
	}
	http.HandleFunc("/", page)
	http.HandleFunc("/leak", func(http.ResponseWriter, *http.Request) { go func() { select {} }() })
	http.HandleFunc("/totals", totals)
	l, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	log.Println("totals listens on", l.Addr())
	log.Fatal(http.Serve(l, nil))
}

// page answers a list of n items, built from as many small strings.
func page(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.FormValue("n"))
	var items []string
	for i := 0; i < n; i++ {
		items = append(items, fmt.Sprintf("<li>item %d</li>", i))
	}
	fmt.Fprint(w, "<ul>"+strings.Join(items, "\n")+"</ul>\n")
}

func totals(w http.ResponseWriter, r *http.Request) {
	mu.Lock()
	defer mu.Unlock()
	json.NewEncoder(w).Encode(map[string]any{"Names": names, "Readings": readings})
}

func readMetrics() {
	for i := 0; ; i++ {
		time.Sleep(100 * time.Millisecond)
		mu.Lock()
		r := &readings[i%len(readings)]
		r.Begin = time.Now()
		metrics.Read(samples)
		r.End = time.Now()
		for j, s := range samples {
			switch s.Value.Kind() {
			case metrics.KindUint64:
				r.Totals[j] = float64(s.Value.Uint64())
			case metrics.KindFloat64:
				r.Totals[j] = s.Value.Float64()
			case metrics.KindFloat64Histogram:
				r.Totals[j] = 0
				for _, n := range s.Value.Float64Histogram().Counts {
					r.Totals[j] += float64(n)
				}
			}
		}
		mu.Unlock()
	}
}
