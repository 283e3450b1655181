package endpoint_test

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
)

// A reporter gets the URL of its process, and the test reads what it sent.
func ExampleStart() {
	server, err := endpoint.Start(endpoint.Options{Fault: endpoint.Script(endpoint.Status(503))})
	if err != nil {
		panic(err)
	}
	defer server.Close()

	const document = `{"counters":{"go.gc.collections":2,"go.gc.pause.ns":345},"gauges":{"go.memory.heap.bytes":1e6,` +
		`"go.memory.stack.bytes":65536,"go.memory.heap.objects":1200,"go.gc.goal":4194304,"go.routines":7}}`
	for i := 0; i < 2; i++ {
		resp, err := http.Post(server.URL("web"), "application/json", strings.NewReader(document))
		if err != nil {
			panic(err)
		}
		resp.Body.Close()
		fmt.Println(resp.Status)
	}
	for _, r := range server.Reports() {
		fmt.Println(r.Process, "has", r.Goroutines, "goroutines")
	}
	// Output:
	// 503 Service Unavailable
	// 200 OK
	// web has 7 goroutines
}
