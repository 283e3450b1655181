package page

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
)

const good = `{"counters":{"go.gc.collections":2,"go.gc.pause.ns":345},` +
	`"gauges":{"go.memory.heap.bytes":1e6,"go.memory.stack.bytes":65536,"go.memory.heap.objects":1200,"go.gc.goal":4194304,"go.routines":7}}`

// start starts an endpoint and its page.
func start(t *testing.T, names ...string) (*endpoint.Server, *Page) {
	t.Helper()
	sw := &endpoint.Switch{}
	s, err := endpoint.Start(endpoint.Options{Fault: sw.Fault})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	p, err := Start(Options{Server: s, Switch: sw, Processes: names})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return s, p
}

// report posts a document and returns the status and how long the answer took.
func report(t *testing.T, url, document string) (status int, took time.Duration) {
	t.Helper()
	began := time.Now()
	resp, err := http.Post(url, "application/json", strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	return resp.StatusCode, time.Since(began)
}

func get(t *testing.T, url string) (int, string, http.Header) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

func TestPageShowsTheLatestState(t *testing.T) {
	s, p := start(t, "web", "worker")
	_, body, header := get(t, p.URL())
	for _, want := range []string{"Waiting for the first report", ">web<", ">worker<"} {
		if !strings.Contains(body, want) {
			t.Errorf("before the first report the page has no %q", want)
		}
	}
	if csp := header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; script-src 'self'; style-src 'self';") || strings.Contains(csp, "unsafe") {
		t.Errorf("the policy is %q", csp)
	}
	report(t, s.URL("web"), good)
	report(t, s.URL("web"), good)
	report(t, s.URL("late"), good)
	_, body, _ = get(t, p.URL())
	for _, want := range []string{">late<", "976.6 KiB", `<td class="delivered">4</td>`, "690ns", "✓ nothing lost", "under 1 s ago"} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	for path, want := range map[string]string{
		"reports?process=0":       `<a class="json" href="/report?process=0&amp;n=1">`,
		"report?process=0&n=2":    good,
		"report?process=2&n=1":    good,
		"page.css":                "prefers-color-scheme: dark",
		"page.js":                 "EventSource",
		"uplot/uPlot.iife.min.js": "uPlot (v1.6.32)",
		"icon.svg":                "<svg",
		"favicon.ico":             "<svg",
	} {
		if status, body, _ := get(t, p.URL()+path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("/%s: %d, without %q", path, status, want)
		}
	}
	for _, path := range []string{"report?process=0&n=3", "report?process=0&n=0", "report?process=3&n=1", "report?process=-1&n=1", "report", "reports", "reports?process=x", "page.html", "..%2fpage.go"} {
		if status, _, _ := get(t, p.URL()+path); status != 404 {
			t.Errorf("/%s: %d, want 404", path, status)
		}
	}
	if status, body, _ := get(t, p.URL()+"fault"); status != 405 {
		t.Errorf("GET /fault: %d %s", status, body)
	}
}

// What a process sends, its name included, stays text.
func TestEscapes(t *testing.T) {
	const name = `"><script>alert(1)</script>`
	s, p := start(t, name)
	report(t, s.URL(name), good)
	for _, document := range []string{`{"<script>alert(2)</script>":1}`, `"><script>alert(3)</script>`} {
		report(t, s.URL(name), document)
		for _, path := range []string{"", "reports?process=0"} {
			_, body, _ := get(t, p.URL()+path)
			if strings.Count(body, "<script") > strings.Count(body, "<script src=") || strings.Contains(body, `"">`) {
				t.Errorf("/%s has a script of the process", path)
			}
		}
	}
	if _, body, _ := get(t, p.URL()); !strings.Contains(body, "&lt;script&gt;alert(1)") {
		t.Error("the name is not shown")
	}
	if _, _, header := get(t, p.URL()+"report?process=0&n=1"); header.Get("Content-Type") != "application/json" || header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("a raw report has the header %v", header)
	}
}

func TestShowsABoundedNumberOfProcesses(t *testing.T) {
	s, p := start(t)
	for i := 0; i < 3*MaxProcesses; i++ {
		report(t, s.URL(fmt.Sprint("p", i)), good)
	}
	_, body, _ := get(t, p.URL())
	if n := strings.Count(body, "<section "); n != MaxProcesses || !strings.Contains(body, "only the first 32 are shown") {
		t.Errorf("%d processes are shown", n)
	}
	if len(p.unshown) > MaxProcesses {
		t.Errorf("%d names are kept of processes that are not shown", len(p.unshown))
	}
}

// An outage is shown while it lasts and afterwards.
func TestPageShowsOutages(t *testing.T) {
	s, p := start(t, "web")
	now := func() string { _, body, _ := get(t, p.URL()); return body }
	report(t, s.URL("web"), good)
	p.opts.Switch.Set(endpoint.Status(503))
	for i := 0; i < 2; i++ {
		report(t, s.URL("web"), strings.Replace(good, `"go.gc.collections":2`, `"go.gc.collections":20`, 1))
	}
	for _, want := range []string{"Outage: nothing was accepted since", `<td class="pending">20</td>`, `<dd class="retried">1</dd>`} {
		if body := now(); !strings.Contains(body, want) {
			t.Errorf("during an outage the page has no %q:\n%s", want, body)
		}
	}
	if u := p.news(view{}); u.Changed[0].Failing == 0 {
		t.Error("browsers are not told that reports fail")
	}
	p.opts.Switch.Set(endpoint.Fault{})
	report(t, s.URL("web"), strings.Replace(good, `"go.gc.collections":2`, `"go.gc.collections":19`, 1))
	for _, want := range []string{"Last outage: ", `brought <b class="brought">19</b> collections`, `<td class="lost">1</td>`, "✗ counts are lost"} {
		if body := now(); !strings.Contains(body, want) {
			t.Errorf("after the outage the page has no %q:\n%s", want, body)
		}
	}
	if u := p.news(view{}); u.Changed[0].Failing != 0 || len(u.Changed[0].Outages) != 1 || u.Changed[0].Outages[0][2] != 19 {
		t.Errorf("browsers are told %+v", u.Changed[0])
	}
}

// Two processes that report each second for two hours need no more memory than for
// one.
func TestAnHourInBoundedMemory(t *testing.T) {
	_, p := start(t, "web", "worker")
	live := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	hour := func() {
		for i := 0; i < keepReports; i++ {
			for _, name := range []string{"web", "worker"} {
				r, err := endpoint.Parse([]byte(good))
				if err != nil {
					t.Fatal(err)
				}
				r.Process = name
				p.attempt(endpoint.Attempt{Report: r})
				p.accept(r)
			}
		}
		p.news(view{})
	}
	empty := live()
	hour()
	first := live()
	hour()
	hour()
	third := live()
	t.Logf("an hour of two processes takes %d KiB", (first-empty)>>10)
	if first > empty+16<<20 || third > first+1<<20 {
		t.Errorf("%d bytes are live at first, %d after an hour, %d after three", empty, first, third)
	}
	runtime.KeepAlive(p)
}

func TestStartOnATakenAddress(t *testing.T) {
	s, p := start(t)
	addr := strings.Trim(strings.TrimPrefix(p.URL(), "http:"), "/")
	if _, err := Start(Options{Server: s, Addr: addr}); err == nil || !strings.Contains(err.Error(), addr) {
		t.Errorf("got %v", err)
	}
	if host, _, _ := net.SplitHostPort(p.ln.Addr().String()); host != "127.0.0.1" {
		t.Errorf("by default the page is at %s", host)
	}
}
