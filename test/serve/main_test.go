package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"strings"
	"testing"
)

const good = `{"counters":{"go.gc.collections":2,"go.gc.pause.ns":345},` +
	`"gauges":{"go.memory.heap.bytes":1e6,"go.memory.stack.bytes":65536,"go.memory.heap.objects":1200,"go.gc.goal":4194304,"go.routines":7}}`

// serve runs the command until the test ends, and returns the addresses in its first
// lines by what comes before them.
func serve(t *testing.T, n int, args ...string) map[string]string {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, args, w, io.Discard) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	addresses := map[string]string{}
	for s := bufio.NewScanner(r); len(addresses) < n && s.Scan(); {
		before, address, _ := strings.Cut(s.Text(), "http://")
		addresses[before] = "http://" + address
	}
	return addresses
}

// send posts a document and returns the status of the answer.
func send(t *testing.T, to, kind, document string) int {
	t.Helper()
	resp, err := http.Post(to, kind, strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode
}

func TestServe(t *testing.T) {
	at := serve(t, 5, "web", "worker")
	for name, address := range at {
		if !strings.HasPrefix(address, "http://127.0.0.1:") {
			t.Errorf("%s%s is not on loopback", name, address)
		}
	}
	send(t, at["web: HEROKU_METRICS_URL="], "application/json", good)
	for range 2 {
		send(t, at["worker: HEROKU_METRICS_URL="], "application/json", good)
	}
	if status := send(t, at["worker: OTEL_EXPORTER_OTLP_METRICS_ENDPOINT="], "application/x-protobuf", ""); status != 400 {
		t.Errorf("an empty export is answered %d", status)
	}
	resp, err := http.Get(at["page: "])
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	_, web, _ := strings.Cut(string(body), `id="p0-facts"`)
	web, worker, _ := strings.Cut(web, `id="p1-facts"`)
	if !strings.Contains(web, `<td class="delivered">2</td>`) || strings.Contains(web, "refused: ") ||
		!strings.Contains(worker, `<td class="delivered">4</td>`) || !strings.Contains(worker, "The last export was refused: ") {
		t.Errorf("the page is\n%s", body)
	}
}

// Who has the endpoint listen everywhere is told an address that others can use.
func TestServeElsewhere(t *testing.T) {
	at := serve(t, 3, "-addr", "0.0.0.0:0")
	heroku := at["web: HEROKU_METRICS_URL="]
	if strings.Contains(heroku, "//0.0.0.0") || !strings.HasPrefix(at["page: "], "http://127.0.0.1:") {
		t.Errorf("it prints %q", at)
	}
	if status := send(t, heroku, "application/json", good); status != 200 {
		t.Errorf("a report is answered %d", status)
	}
}

func TestServeSaysWhatIsWrong(t *testing.T) {
	for args, tt := range map[string]struct {
		want error
		text string
	}{
		"-h":                       {flag.ErrHelp, ""},
		"-nonsense":                {errUsage, "-nonsense"},
		strings.Repeat("web ", 33): {errUsage, "33 processes; the page shows 32"},
		"web worker web":           {errUsage, `"web" twice`},
		"-addr 127.0.0.1:http:x":   {nil, "starting the metrics endpoint"},
		"-page 192.0.2.1:1":        {nil, "serving the page"},
	} {
		err := run(context.Background(), strings.Fields(args), io.Discard, io.Discard)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%q gives the error %v, want %v with %q", args, err, tt.want, tt.text)
		}
	}
}
