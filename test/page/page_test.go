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
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := Start(Options{Listener: ln, Server: s, Switch: sw, Processes: names, NoOTLP: map[string]string{"quiet": "<it> is off"}})
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

// wantOnPage looks for texts on the page.
func wantOnPage(t *testing.T, p *Page, when string, want ...string) {
	t.Helper()
	_, body, _ := get(t, p.URL())
	for _, text := range want {
		if !strings.Contains(body, text) {
			t.Errorf("%s the page has no %q:\n%s", when, text, body)
		}
	}
}

func TestPageShowsTheLatestState(t *testing.T) {
	s, p := start(t, "web", "quiet")
	wantOnPage(t, p, "before the first report", "Waiting for the first report", ">web<", ">quiet<", "Waiting for the first export", "Nothing is sent: &lt;it&gt; is off.")
	report(t, s.URL("web"), good)
	report(t, s.URL("web"), good)
	report(t, s.URL("late"), good)
	wantOnPage(t, p, "then", ">late<", "976.6 KiB", `<td class="delivered">4</td>`, "690ns", "✓ nothing lost", "0s ago")
	for path, want := range map[string]string{
		"reports/0/":              `<a class="json" href="/reports/0/1">`,
		"reports/0/2":             good,
		"reports/2/1":             good,
		"page.css":                "light-dark(",
		"page.js":                 "EventSource",
		"uplot/uPlot.iife.min.js": "uPlot (v1.6.32)",
		"favicon.ico":             "<svg",
	} {
		if status, body, _ := get(t, p.URL()+path); status != 200 || !strings.Contains(body, want) {
			t.Errorf("/%s: %d, without %q", path, status, want)
		}
	}
	for path, want := range map[string]int{"reports/0/3": 404, "reports/0/0": 404, "reports/3/1": 404, "reports/-1/1": 404, "reports/x/": 404, "page.html": 404, "..%2fpage.go": 404, "fault": 404} {
		if status, _, _ := get(t, p.URL()+path); status != want {
			t.Errorf("/%s: %d, want %d", path, status, want)
		}
	}
	p.export(endpoint.Export{Process: "web", Received: time.Now(), Values: map[string]float64{"go.memory.used{stack}": 1 << 20, "go.memory.used{other}": 1 << 20}})
	p.export(endpoint.Export{Process: "web", Refused: "<b>"})
	wantOnPage(t, p, "after an export", `<b class="exports">1</b>`, "<td>–</td><td>–</td><td>2.0 MiB</td><td>–</td>", "The last export was refused: &lt;b&gt;",
		"CPU by class is not there: programs have go.cpu.time if they were built with Go 1.20 or newer.")
}

// What a process sends, its name included, stays text.
func TestEscapes(t *testing.T) {
	const name = `"><script>alert(1)</script>`
	s, p := start(t, name)
	report(t, s.URL(name), good)
	for _, document := range []string{`{"<script>alert(2)</script>":1}`, `"><script>alert(3)</script>`} {
		report(t, s.URL(name), document)
		for _, path := range []string{"", "reports/0/"} {
			_, body, _ := get(t, p.URL()+path)
			if strings.Count(body, "<script") > strings.Count(body, "<script src=") || strings.Contains(body, `"">`) {
				t.Errorf("/%s has a script of the process", path)
			}
		}
	}
	wantOnPage(t, p, "", "&lt;script&gt;alert(1)")
	_, _, header := get(t, p.URL()+"reports/0/1")
	if csp := header.Get("Content-Security-Policy"); header.Get("Content-Type") != "application/json" || header.Get("X-Content-Type-Options") != "nosniff" ||
		!strings.HasPrefix(csp, "default-src 'none'; script-src 'self'; style-src 'self';") || strings.Contains(csp, "unsafe") {
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
	collections := func(n string) string {
		return strings.Replace(good, `"go.gc.collections":2`, `"go.gc.collections":`+n, 1)
	}
	report(t, s.URL("web"), good)
	p.Switch.Set(endpoint.Status(503))
	report(t, s.URL("web"), collections("20"))
	report(t, s.URL("web"), collections("20"))
	wantOnPage(t, p, "during an outage", "Outage: nothing was accepted since", `<td class="pending">20</td>`, `<dd class="retried">1</dd>`)
	if u := p.news(view{}); u.Changed[0].Failing == 0 {
		t.Error("browsers are not told that reports fail")
	}
	p.Switch.Set(endpoint.Fault{})
	report(t, s.URL("web"), collections("19"))
	wantOnPage(t, p, "after the outage", "Last outage: ", `brought <b class="brought">19</b> collections`, `<td class="lost">1</td>`, "✗ counts are lost")
	if u := p.news(view{}); u.Changed[0].Failing != 0 || len(u.Changed[0].Outages) != 1 || u.Changed[0].Outages[0][2] != 19 {
		t.Errorf("browsers are told %+v", u.Changed[0])
	}
}

// Two processes that report each second for three hours need no more memory than
// for one.
func TestAnHourInBoundedMemory(t *testing.T) {
	_, p := start(t, "web", "worker")
	live := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	hour := func() {
		for i := 0; i < keepRows; i++ {
			for _, name := range []string{"web", "worker"} {
				r, err := endpoint.Parse([]byte(good))
				if err != nil {
					t.Fatal(err)
				}
				r.Process = name
				p.attempt(endpoint.Attempt{Report: r})
				p.report(r)
				p.export(endpoint.Export{Process: name})
			}
		}
		p.news(view{})
	}
	empty := live()
	hour()
	first := live()
	hour()
	hour()
	if third := live(); first > empty+16<<20 || third > first+1<<20 {
		t.Errorf("%d bytes are live at first, %d after an hour, %d after three", empty, first, third)
	}
	h := &p.processes[0].reports
	if rows := h.since(0); len(rows) != keepRows || rows[0].N != 2*keepRows+1 || len(h.since(3*keepRows-2)) != 2 || len(h.since(9*keepRows)) != 0 {
		t.Errorf("%d reports are kept, from %d on", len(rows), rows[0].N)
	}
	for i := 0; i < 100; i++ {
		h.add(row{Body: make([]byte, 64<<10)})
	}
	if h.bytes > keepBytes {
		t.Errorf("%d bytes of documents are kept", h.bytes)
	}
}

// Only this page can press its buttons, and nobody can lead a name of theirs here.
func TestGuard(t *testing.T) {
	_, p := start(t, "web")
	origin := strings.TrimSuffix(p.URL(), "/")
	_, port, _ := net.SplitHostPort(p.Listener.Addr().String())
	for name, tt := range map[string]struct {
		method, host, origin, site, fault string
		want                              int
	}{
		"no origin":              {"POST", "", "", "", "503", 403},
		"https":                  {"POST", "", "https" + strings.TrimPrefix(origin, "http"), "", "503", 403},
		"another origin":         {"POST", "", "http://evil.example", "", "503", 403},
		"another port":           {"POST", "", "http://127.0.0.1:1", "", "503", 403},
		"opaque origin":          {"POST", "", "null", "", "503", 403},
		"cross-site":             {"POST", "", origin, "cross-site", "503", 403},
		"same-site":              {"POST", "", origin, "same-site", "503", 403},
		"a rebound name":         {"POST", "evil.example:" + port, "http://evil.example:" + port, "same-origin", "503", 421},
		"localhost as part":      {"POST", "localhost.evil.example", "http://localhost.evil.example", "", "503", 421},
		"a rebound name reads":   {"GET", "evil.example", "", "", "", 421},
		"a fault that is not":    {"POST", "", origin, "same-origin", "500", 400},
		"this page":              {"POST", "", origin, "same-origin", "429", 303},
		"this page as localhost": {"POST", "localhost:" + port, "http://localhost:" + port, "same-origin", "429", 303},
		"this page by IPv6":      {"POST", "[::1]:" + port, "http://[::1]:" + port, "", "429", 303},
	} {
		req, err := http.NewRequest(tt.method, p.URL()+map[string]string{"POST": "fault"}[tt.method], strings.NewReader("fault="+tt.fault))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = tt.host
		for key, value := range map[string]string{"Content-Type": "application/x-www-form-urlencoded", "Origin": tt.origin, "Sec-Fetch-Site": tt.site} {
			if value != "" {
				req.Header.Set(key, value)
			}
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.want {
			t.Errorf("%s: %d, want %d", name, resp.StatusCode, tt.want)
		}
	}
	if now := p.Switch.Now().Name; now != "429" {
		t.Errorf("the endpoint has the fault %q", now)
	}
}
