// Package browser looks at the page of test/page in a real browser, while real
// processes report. Screenshots go to the directory that HMETRICS_SCREENSHOTS names.
// The README's are those that begin with readme, made of charts that
// HMETRICS_SCREENSHOTS_AFTER=75s has let fill before, during and after an outage.
package browser

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

const count = `Number(document.querySelector("#p0-facts .%s").textContent.replaceAll(",", ""))`

// TestTry looks on while test/try runs an app of two processes: charts grow, and
// whatever the endpoint does, nothing is lost.
func TestTry(t *testing.T) {
	b := open(t)
	args := []string{"-interval", "1s"}
	if cache := os.Getenv("HMETRICS_TEST_CACHE"); cache != "" {
		args = append(args, "-cache", cache)
	}
	found := command(t, "./test/try", append(args, "-config", "GOMEMLIMIT=64MiB", "test/apps/two"), `web\.1 is up: .*PORT=(\d+)`, `look at (http://127\.0\.0\.1:\d+/)$`)
	visit(t, "http://127.0.0.1:"+found[0]+"/jobs")
	url := found[1]

	b.do(chromedp.Navigate(url))
	eval[string](b, "window.loaded = 'once'")
	b.wait(`document.querySelector("#live").textContent === "Connected."`)
	for i, name := range []string{"web", "worker"} {
		b.wait(`document.querySelector("#p%d-name").textContent === %q`, i, name)
		for _, figure := range []string{"heap", "gcs", "pause", "stack", "objects", "goroutines", "latency", "cpu", "memory"} {
			b.wait(`[...document.querySelectorAll("#p%d-%s .u-series:not(:first-child) .u-value")].every((e) => /\d/.test(e.textContent))`, i, figure)
		}
	}
	b.wait(count+" > 0", "delivered")
	fill()
	shoot(b, "before")
	throughFaults(b)
	readValues(b)
	if loaded := eval[string](b, "window.loaded || 'again'"); loaded != "once" {
		t.Error("the page was loaded again")
	}

	// Without scripts, the same page shows the latest state and its buttons work.
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.do(chromedp.Navigate(url), chromedp.WaitVisible(chromedp.CSS("#p0-rows td")))
	for _, fault := range []string{"503", "none"} {
		b.do(
			chromedp.Click(chromedp.CSS(fmt.Sprintf("button[value=%q]", fault))),
			chromedp.WaitVisible(chromedp.CSS(fmt.Sprintf(`button[value=%q][aria-pressed="true"]`, fault))),
		)
	}
	b.shoot("without-scripts", "light", 1280, true)
	b.wantQuiet()
}

// fill lets charts fill for as long as HMETRICS_SCREENSHOTS_AFTER says.
func fill() {
	after, _ := time.ParseDuration(os.Getenv("HMETRICS_SCREENSHOTS_AFTER"))
	time.Sleep(after)
}

func shoot(b *tab, when string) {
	for _, scheme := range []string{"light", "dark"} {
		b.shoot(when, scheme, 1280, true)
		b.shoot(when, scheme, 390, true)
	}
}

// throughFaults has the endpoint fail in each way: what is not delivered is pending,
// tried again, and told.
func throughFaults(b *tab) {
	for _, fault := range []string{"503", "429", "hang", "reset"} {
		if fault == "429" {
			b.do(chromedp.Focus(chromedp.CSS(`button[value="429"]`)), chromedp.KeyEvent(kb.Enter))
			b.wait(`document.activeElement.value === "429" && document.activeElement.ariaPressed === "true"`)
		} else {
			b.press(fault)
		}
		accepted, retried := eval[int](b, count, "accepted"), eval[int](b, count, "retried")
		b.wait(count+" > 0 && "+count+" > %d && document.querySelector('#p0-facts .holds')", "pending", "retried", retried)
		b.wait(`/^Outage: nothing was accepted since \d\d:\d\d:\d\d /.test(document.querySelector("#p0-facts .bad").textContent)`)
		if n := eval[int](b, count, "accepted"); n > accepted+1 {
			b.Errorf("%d reports were accepted while the endpoint had the fault %s", n-accepted, fault)
		}
		if fault == "503" {
			fill()
			b.wait(`/^[1-9].*s ago$/.test(document.querySelector("#p0-facts .ago").textContent)`)
			shoot(b, "during")
		}
		b.press("none")
		b.wait(count+" > %d && "+count+" === 0 && document.querySelector('#p0-facts .holds')", "accepted", accepted+1, "pending")
		b.wait(`document.querySelector("#p0-facts .state").textContent.startsWith("Last outage: ")`)
		if fault == "503" {
			fill()
			shoot(b, "after")
			b.shoot("readme", "light", 1160, false)
			b.shoot("readme", "dark", 1160, false)
		}
	}
}

// readValues reads values with the keyboard and with the pointer.
func readValues(b *tab) {
	b.do(chromedp.Focus(chromedp.CSS("#p0-heap")), chromedp.KeyEvent(kb.ArrowLeft))
	const said = `document.querySelector("#p0-heap output").textContent`
	b.wait(`/^\d\d:\d\d:\d\d \S+ heap [\d.]+ [KM]iB, goal [\d.]+ MiB$/.test(` + said + `)`)
	last := eval[string](b, said)
	b.do(chromedp.KeyEvent(kb.ArrowLeft))
	b.wait(said+" !== %q", last)
	b.do(chromedp.KeyEvent(kb.Enter))
	const raw = `document.querySelector("#p0-raw")`
	b.wait("!" + raw + `.hidden && "counters" in JSON.parse(` + raw + `.textContent)`)
	eval[bool](b, raw+`.parentElement.open = false`)
	at := eval[[2]float64](b, `(() => {
		const e = document.querySelector("#p0-objects .u-over");
		e.scrollIntoView({block: "center"});
		const r = e.getBoundingClientRect();
		return [r.x + r.width / 2, r.y + r.height / 2];
	})()`)
	const value = `document.querySelector("#p0-objects .u-value").textContent`
	latest := eval[string](b, value)
	b.do(chromedp.MouseEvent("mouseMoved", at[0], at[1]))
	b.wait(value+" < %q", latest) // the time at the pointer
	b.do(chromedp.MouseClickXY(at[0], at[1]))
	b.wait(raw + ".parentElement.open")
	b.do(chromedp.Click(chromedp.CSS("#view [name=minutes]")))
	b.wait(`document.querySelector("#p0-gcs .how").textContent === "sum" && document.querySelector("#p0-heap .how").textContent === "max"`)
	b.shoot("minutes", "light", 1280, true)
}

// TestHostile has a process send what could script the page.
func TestHostile(t *testing.T) {
	b := open(t)
	name := `</h2><script>alert(1)</script><img src=x onerror=alert(2)>`
	found := command(t, "./test/serve", []string{"--", name, "javascript:alert(3)"},
		`^page: (http://127\.0\.0\.1:\d+/)$`, `<img.*HEROKU_METRICS_URL=(http://127\.0\.0\.1:\d+/[0-9a-f]+)$`)
	post := func(contentType, body string) {
		t.Helper()
		resp, err := http.Post(found[1], contentType, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	const document = `{"counters":{"go.gc.collections":N,"go.gc.pause.ns":N},"gauges":{"go.memory.heap.bytes":N,"go.memory.stack.bytes":N,"go.memory.heap.objects":N,"go.gc.goal":N,"go.routines":N}}`
	b.do(chromedp.Navigate(found[0]))
	b.wait(`document.querySelector("#live").textContent === "Connected."`)
	for i, n := range []string{"1", "1.7e308", "0", "5e-324"} {
		post("application/json", strings.ReplaceAll(document, "N", n))
		b.wait(`document.querySelector("#p0-facts .accepted")?.textContent === "%d"`, i+1)
	}
	for _, evil := range []string{`{"<script>alert(4)</script>":{}}`, `{"counters":{"<img src=x onerror=alert(5)>":1},"gauges":{}}`, `<svg onload=alert(6)>`} {
		post("application/json", evil)
	}
	post("<img/src=x onerror=alert(7)>", document)
	b.wait(`document.querySelector("#p0-facts .refused").textContent === "4"`)
	b.wait(`document.querySelector("#p0-facts .why").textContent.includes("<img/src=x onerror=alert(7)>")`)
	b.wait(`document.querySelector("#p0-name").textContent === %q`, name)
	// Its documents are shown as text, also where they are opened by themselves.
	b.do(chromedp.Navigate(found[0] + "reports/0/"))
	b.wait(`document.querySelector("h1").textContent === %q`, "Reports of "+name)
	b.do(chromedp.Navigate(found[0] + "reports/0/2"))
	raw := eval[string](b, "document.body.innerText")
	if !json.Valid([]byte(raw)) || !strings.Contains(raw, "1.7e308") {
		t.Errorf("the raw report is %q", raw)
	}
	if n := eval[int](b, `document.querySelectorAll("script:not([src]), img").length`); n > 0 {
		t.Errorf("%d elements are a script or an image", n)
	}
	b.wantQuiet()
}
