package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

const good = `{"counters":{"go.gc.collections":2,"go.gc.pause.ns":345},` +
	`"gauges":{"go.memory.heap.bytes":1e6,"go.memory.stack.bytes":65536,"go.memory.heap.objects":1200,"go.gc.goal":4194304,"go.routines":7}}`

// serve runs the command until the test ends, and returns its first lines.
func serve(t *testing.T, n int, args ...string) []string {
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
	var lines []string
	for s := bufio.NewScanner(r); len(lines) < n && s.Scan(); {
		lines = append(lines, s.Text())
	}
	return lines
}

func TestServe(t *testing.T) {
	lines := serve(t, 3, "web", "worker")
	page, ok := cut(lines[0], "page: ")
	web, ok2 := cut(lines[1], "web: HEROKU_METRICS_URL=")
	worker, ok3 := cut(lines[2], "worker: HEROKU_METRICS_URL=")
	if !ok || !ok2 || !ok3 || web == worker {
		t.Fatalf("it prints %q", lines)
	}
	for _, address := range []string{page, web, worker} {
		if u, err := url.Parse(address); err != nil || !net.ParseIP(u.Hostname()).IsLoopback() {
			t.Errorf("%s is not on loopback", address)
		}
	}
	for _, url := range []string{web, worker, worker} {
		resp, err := http.Post(url, "application/json", strings.NewReader(good))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	resp, err := http.Get(page)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{`<td class="delivered">2</td>`, `<td class="delivered">4</td>`} {
		_, facts, _ := strings.Cut(string(body), fmt.Sprintf(`id="p%d-facts"`, i))
		if facts, _, _ := strings.Cut(facts, "<figure"); !strings.Contains(facts, want) {
			t.Errorf("the page says of process %d: %s", i, facts)
		}
	}
}

func cut(line, prefix string) (string, bool) {
	return strings.TrimPrefix(line, prefix), strings.HasPrefix(line, prefix)
}

// Who has the endpoint listen everywhere is told an address that others can use.
func TestServeElsewhere(t *testing.T) {
	lines := serve(t, 2, "-addr", "0.0.0.0:0")
	u, err := url.Parse(strings.TrimPrefix(lines[1], "web: HEROKU_METRICS_URL="))
	if err != nil {
		t.Fatal(err)
	}
	if ip := net.ParseIP(u.Hostname()); ip == nil || ip.IsUnspecified() {
		t.Errorf("it prints %q", lines[1])
	}
	resp, err := http.Post(u.String(), "application/json", strings.NewReader(good))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("a report is answered %s", resp.Status)
	}
	if p, _ := url.Parse(strings.TrimPrefix(lines[0], "page: ")); !net.ParseIP(p.Hostname()).IsLoopback() {
		t.Errorf("the page is at %s", p)
	}
}

func TestServeSaysWhatIsWrong(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want error
		text string
	}{
		{[]string{"-h"}, flag.ErrHelp, ""},
		{[]string{"-nonsense"}, errUsage, "-nonsense"},
		{strings.Fields(strings.Repeat("web ", 33)), errUsage, "33 processes; the page shows 32"},
		{[]string{"web", "worker", "web"}, errUsage, `"web" twice`},
		{[]string{"-addr", "127.0.0.1:http:x"}, nil, "starting the metrics endpoint"},
		{[]string{"-page", "192.0.2.1:1"}, nil, "serving the endpoint's page"},
	} {
		err := run(context.Background(), tt.args, io.Discard, io.Discard)
		if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%q gives the error %v, want %v with %q", tt.args, err, tt.want, tt.text)
		}
	}
}
