package main

import (
	"context"
	"errors"
	"fmt"
	"github.com/dsnet/try"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestServe has the processes web and worker report, of this machine only, and then of
// all: who asks for that is told an address that others can use.
func TestServe(t *testing.T) {
	const report = `{"counters":{"go.gc.collections":2,"go.gc.pause.ns":345},"gauges":{"go.memory.heap.bytes":1e6,` +
		`"go.memory.stack.bytes":65536,"go.memory.heap.objects":1200,"go.gc.goal":4194304,"go.routines":7}}`
	for _, args := range []string{"web worker", "-addr 0.0.0.0:0 web worker"} {
		ctx, stop := context.WithCancel(t.Context())
		r, w := io.Pipe()
		ended := make(chan error, 1)
		go func() { ended <- run(ctx, strings.Fields(args), w, io.Discard) }()
		var page, web, webOTLP, worker, workerOTLP string
		if _, err := fmt.Fscanf(r, "page: %s\nweb: HEROKU_METRICS_URL=%s\nweb: OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=%s\n"+
			"worker: HEROKU_METRICS_URL=%s\nworker: OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=%s\n", &page, &web, &webOTLP, &worker, &workerOTLP); err != nil {
			t.Fatal(err)
		}
		const local = "http://127.0.0.1:"
		if !strings.HasPrefix(page, local) || net.ParseIP(try.E1(url.Parse(web)).Hostname()).IsUnspecified() || args == "web worker" && !strings.HasPrefix(web, local) {
			t.Errorf("%s: the page is at %s, reports are taken at %s", args, page, web)
		}
		for _, to := range []string{web, worker, worker} {
			post(t, to, "application/json", report, 200)
		}
		post(t, workerOTLP, "application/x-protobuf", "", 400)
		resp := try.E1(http.Get(page))
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		_, facts, _ := strings.Cut(string(body), `id="p0-facts"`)
		facts, others, _ := strings.Cut(facts, `id="p1-facts"`)
		if !strings.Contains(facts, `<td class="delivered">2</td>`) || strings.Contains(facts, "refused: ") ||
			!strings.Contains(others, `<td class="delivered">4</td>`) || !strings.Contains(others, "The last export was refused: ") {
			t.Errorf("the page has of web\n%s\nand of worker\n%s", facts, others)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func post(t *testing.T, to, kind, document string, want int) {
	t.Helper()
	resp := try.E1(http.Post(to, kind, strings.NewReader(document)))
	if resp.Body.Close(); resp.StatusCode != want {
		t.Errorf("it is answered %d, want %d", resp.StatusCode, want)
	}
}

func TestWhatIsWrong(t *testing.T) {
	for args, want := range map[string]string{
		"-nonsense":                "the command line is wrong: flag provided but not defined: -nonsense",
		strings.Repeat("web ", 33): "the command line is wrong: 33 processes; the page shows 32",
		"web worker web":           `the command line is wrong: "web" twice, and two processes cannot share an address`,
		"-addr 127.0.0.1:http:x":   "starting the metrics endpoint: ",
		"-page 192.0.2.1:1":        "serving the page: ",
	} {
		err := run(t.Context(), strings.Fields(args), io.Discard, io.Discard)
		if err == nil || !strings.HasPrefix(err.Error(), want) || errors.Is(err, errUsage) != strings.HasPrefix(want, errUsage.Error()) {
			t.Errorf("%q gives the error %v, want %s", args, err, want)
		}
	}
}
