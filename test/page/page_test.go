package page

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/dsnet/try"
	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
)

// A browser looks at a page of two processes.
type browser struct {
	*testing.T
	*Page
}

func open(t *testing.T) *browser {
	ln := try.E1(net.Listen("tcp", ":0"))
	sw := &endpoint.Switch{}
	p := Start(Options{
		Listener: ln, Server: endpoint.New(endpoint.Options{Fault: sw.Fault, Keep: 1}), Switch: sw,
		Processes: []string{"web", "<b>"}, NoOTLP: map[string]string{"<b>": "<i> is off"},
	})
	t.Cleanup(func() { p.Close() })
	return &browser{t, p}
}

// report has a process send a report of so many collections.
func (b *browser) report(process string, collections int) {
	document := fmt.Sprintf(`{"counters":{"go.gc.collections":%d,"go.gc.pause.ns":345},"gauges":{"go.memory.heap.bytes":1e6,`+
		`"go.memory.stack.bytes":65536,"go.memory.heap.objects":1200,"go.gc.goal":4194304,"go.routines":7}}`, collections)
	r := httptest.NewRequest("POST", b.Server.URL(process), strings.NewReader(document))
	r.Header.Set("Content-Type", "application/json")
	b.Server.ServeHTTP(httptest.NewRecorder(), r)
}

// want looks for texts in what the page serves.
func (b *browser) want(path string, texts ...string) {
	b.Helper()
	a := httptest.NewRecorder()
	b.http.Handler.ServeHTTP(a, httptest.NewRequest("GET", "http://localhost/"+path, nil))
	all := fmt.Sprint(a.Code, a.Result().Header, a.Body)
	for _, text := range texts {
		if !strings.Contains(all, text) {
			b.Errorf("/%s has no %q:\n%s", path, text, all)
		}
	}
}

func TestLatestState(t *testing.T) {
	b := open(t)
	b.want("", ">web<", ">&lt;b&gt;<", "Waiting for the first report", "Waiting for the first export", "Nothing is sent: &lt;i&gt; is off.")
	b.report("web", 2)
	b.report("web", 3)
	b.report("unknown", 1)
	b.want("", `<td class="delivered">5</td>`, "690ns", "✓ nothing lost", "0s ago", `<pre>{&#34;counters&#34;:{`)
	b.want("page.html", "404")
	b.want("live?had=1+0", `"groups":[[2,[[`, `,3,345,65536,1200,7]],[]],[0,[],[]],[0,[],[]],[0,[],[]]]`, `"page":"`)
	proc := b.processes[0]
	proc.export(endpoint.Export{Values: map[string]float64{"go.memory.used{stack}": 1 << 20, "go.memory.used{other}": 1 << 20}})
	proc.export(endpoint.Export{Refused: "<b>"})
	b.want("", `<b class="exports">1</b>`, "The last export was refused: &lt;b&gt;")
	if !strings.HasPrefix(b.URL(), "http://127.0.0.1:") {
		t.Errorf("the page is at %s", b.URL())
	}

	// A process that does not tell again what was not accepted loses it.
	b.Switch.Set(endpoint.Status(503))
	b.report("web", 20)
	b.report("web", 20)
	b.want("", `<td class="pending">20</td>`)
	b.Switch.Set(endpoint.Fault{})
	b.report("web", 19)
	b.want("", `brought <b class="brought">19</b> collections`, `<td class="lost">1</td>`, "✗ counts are lost")
}

// Only this page can press its buttons, and no other name leads here.
func TestGuard(t *testing.T) {
	b := open(t)
	for _, tt := range []struct {
		method, host, origin, fault string
		want                        int
	}{
		{"POST", "127.0.0.1:80", "", "503", 403},
		{"POST", "127.0.0.1:80", "http://127.0.0.1:1", "503", 403},
		{"POST", "evil.example:80", "http://evil.example:80", "503", 421},
		{"POST", "localhost.evil.example", "http://localhost.evil.example", "503", 421},
		{"GET", "evil.example", "", "", 421},
		{"POST", "127.0.0.1:80", "http://127.0.0.1:80", "500", 400},
		{"POST", "127.0.0.1:80", "http://127.0.0.1:80", "429", 303},
		{"POST", "localhost", "http://localhost", "429", 303},
		{"POST", "[::1]:80", "http://[::1]:80", "429", 303},
	} {
		r := httptest.NewRequest(tt.method, "http://"+tt.host+"/fault", strings.NewReader("fault="+tt.fault))
		r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {tt.origin}}
		w := httptest.NewRecorder()
		b.http.Handler.ServeHTTP(w, r)
		csp := w.Header().Get("Content-Security-Policy")
		if w.Code != tt.want || !strings.HasPrefix(csp, "default-src 'none'; script-src 'self'; style-src 'self';") || strings.Contains(csp, "unsafe") {
			t.Errorf("%v: %d, %v", tt, w.Code, w.Header())
		}
	}
	b.want("", `value="429" title="Too Many Requests, come back in 1 s" aria-pressed="true"`, "X-Content-Type-Options:[nosniff]")
}
