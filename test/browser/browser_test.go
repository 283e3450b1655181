// Package browser tests the page of test/page in a real browser, while a real process reports.
// Screenshots go to the directory that HMETRICS_SCREENSHOTS names. Those for the README begin
// with readme: with HMETRICS_SCREENSHOTS_AFTER=75s, their charts fill for that long before,
// during and after an outage.
package browser

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/dsnet/try"
	_ "github.com/hmetrics/heroku-buildpack-go-metrics/agent/onload" // reports where the environment says so
	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/page"
)

// TestMain is also the process that reports, under a varying load.
func TestMain(m *testing.M) {
	if os.Args[len(os.Args)-1] != "report" {
		os.Exit(m.Run())
	}
	kept := make([][]byte, 1000)
	for i := 0; ; i++ {
		kept[i%(500+i/50%500)] = make([]byte, 1+i%16000)
		time.Sleep(time.Millisecond)
	}
}

const count = `Number(document.querySelector("#p0-facts .%s").textContent.replaceAll(",", ""))`

// Charts grow while a process reports. While reports are not accepted, counts are pending; they
// arrive later.
func TestPage(t *testing.T) {
	sw := &endpoint.Switch{}
	s := try.E1(endpoint.Start(endpoint.Options{Fault: sw.Fault}))
	t.Cleanup(func() { s.Close() })
	ln := try.E1(net.Listen("tcp", "127.0.0.1:0"))
	p := page.Start(page.Options{Listener: ln, Server: s, Switch: sw, Processes: []string{"web", evil}})
	t.Cleanup(func() { p.Close() })
	b := open(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "report")
	cmd.Env = []string{"HEROKU_METRICS_URL=" + s.URL("web"), "HMETRICS_INTERVAL=1s", "GOMEMLIMIT=64MiB",
		"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=" + s.OTLPURL("web"), "OTEL_METRIC_EXPORT_INTERVAL=1000"}
	try.E(cmd.Start())
	b.do(chromedp.Navigate(p.URL()))
	b.wait(`document.querySelector("#status").textContent === "Connected."`)
	b.wait(`document.querySelectorAll("#p0 .plot").length === 9 && document.querySelectorAll("#p0 .empty").length === 0`)
	b.wait(`[...document.querySelectorAll("#p0 .u-series:not(:first-child) .u-value")].every((e) => /\d/.test(e.textContent))`)
	hostile(b, s.URL(evil))
	fill()

	// The page stays, and so does the focus.
	b.do(chromedp.Focus(chromedp.CSS(`button[value="503"]`)), chromedp.KeyEvent(kb.Enter))
	b.wait(`document.activeElement.value === "503" && document.activeElement.ariaPressed === "true"`)
	accepted := eval[int](b, count, "accepted")
	b.wait(count+" > 0 && "+count+" > 1 && document.querySelector('#p0-facts .holds')", "pending", "retried")
	b.wait(`/^Outage: nothing was accepted since \d\d:\d\d:\d\d /.test(document.querySelector("#p0-facts .bad").textContent)`)
	fill()
	b.wait(`/^[1-9].*s ago$/.test(document.querySelector("#p0-facts .ago").textContent)`)
	b.shoot("during", "main", 390)
	b.press("none")
	b.wait(count+" > %d && "+count+" === 0 && document.querySelector('#p0-facts .holds')", "accepted", accepted+1, "pending")
	b.wait(`document.querySelector("#p0-facts .state").textContent.startsWith("Last outage: ")`)
	fill()
	b.shoot("after", "main", 1280)
	b.shoot("readme", "section", 1160)

	readValues(b)
	// Each report is in the charts once.
	b.wait(`document.querySelector("#p0 [data-id=gcs] input").max === document.querySelector("#p0-facts .accepted").textContent - 1 + ""`)
	b.do(chromedp.Click(chromedp.CSS("#view [name=minutes]")), chromedp.Click(chromedp.CSS("#p0 summary")))
	b.wait(`["gcs", "heap"].map((id) => document.querySelector("#p0 [data-id=" + id + "] .how").textContent).join() === "sum,max"`)
	b.shoot("minutes", "main", 1280)

	// Without scripts, the same page shows the latest state and its buttons work.
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.do(chromedp.Navigate(p.URL()), chromedp.WaitVisible(chromedp.CSS("#p0-rows pre")))
	b.press("503")
	b.shoot("without-scripts", "main", 1280)
}

// readValues reads values with the keyboard.
func readValues(b *tab) {
	b.do(chromedp.Focus(chromedp.CSS("#p0 [data-id=heap] input")), chromedp.KeyEvent(kb.ArrowLeft))
	const read = `document.querySelector("#p0 [data-id=heap] input").ariaValueText`
	b.wait(`/^\d\d:\d\d:\d\d \S+ heap [\d.]+ [KM]iB, goal [\d.]+ MiB$/.test(` + read + `)`)
	last := eval[string](b, read)
	b.do(chromedp.KeyEvent(kb.ArrowLeft))
	if eval[string](b, read) == last {
		b.Error("a key reads no other value")
	}
}

// fill lets charts fill for the time in HMETRICS_SCREENSHOTS_AFTER.
func fill() {
	after, _ := time.ParseDuration(os.Getenv("HMETRICS_SCREENSHOTS_AFTER"))
	time.Sleep(after)
}

// evil is a name that could script the page.
const evil = `</h2><script>alert(1)</script><img src=x onerror=alert(2)>`

// hostile sends what could script the page, or break its charts.
func hostile(b *tab, url string) {
	post := func(contentType, body string) {
		resp := try.E1(http.Post(url, contentType, strings.NewReader(body)))
		resp.Body.Close()
	}
	const document = `{"counters":{"go.gc.collections":N,"go.gc.pause.ns":N},"gauges":` +
		`{"go.memory.heap.bytes":N,"go.memory.stack.bytes":N,"go.memory.heap.objects":N,"go.gc.goal":N,"go.routines":N}}`
	for _, n := range []string{"1", "1.7e308", "0", "5e-324"} {
		post("application/json", strings.ReplaceAll(document, "N", n))
	}
	post("application/json", `{"counters":{"<img src=x onerror=alert(3)>":1},"gauges":{}}`)
	post("application/json", `<svg onload=alert(4)>`)
	post("<img/src=x onerror=alert(5)>", document)
	b.wait(`document.querySelector("#p1-facts")?.innerText.includes("accepted 4 retried 2 refused 3")`)
	b.wait(`document.querySelector("#p1-facts .why").textContent.includes("<img/src=x onerror=alert(5)>")`)
	b.wait(`document.querySelector("#p1-rows pre").textContent.includes('"go.routines":1.7e308')`)
	b.wait(`document.querySelector("#p1 h2").textContent === %q && !document.querySelector("script:not([src]), img")`, evil)
}
