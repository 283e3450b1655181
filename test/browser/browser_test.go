// Package browser looks at the page of test/page in a real browser, while real
// processes report. Screenshots go to the directory that HMETRICS_SCREENSHOTS names.
// The README's are readme-light and readme-dark, made of charts that
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

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// TestTry looks on while test/try runs an app of two processes: charts grow, and
// whatever the endpoint does, nothing is lost.
func TestTry(t *testing.T) {
	b := open(t)
	args := []string{"-interval", "1s"}
	if cache := os.Getenv("HMETRICS_TEST_CACHE"); cache != "" {
		args = append(args, "-cache", cache)
	}
	found := command(t, "./test/try", append(args, "test/apps/two"),
		`look at (http://127\.0\.0\.1:\d+/)$`, `web\.1 is up: .*PORT=(\d+)`)
	visit(t, "http://127.0.0.1:"+found[1][1]+"/jobs")

	b.do(chromedp.Navigate(found[0][1]))
	eval[string](b, "window.loaded = 'once'")
	b.wait(`document.querySelector("#live").textContent === "Connected."`)
	for i, name := range []string{"web", "worker"} {
		if got := b.text(fmt.Sprintf("#p%d-name", i)); got != name {
			t.Errorf("process %d is %q, want %q", i, got, name)
		}
		for _, figure := range []string{"heap", "gcs", "pause", "stack", "objects", "goroutines"} {
			b.wait(`/\d/.test(document.querySelector("#p%d-%s .values").textContent)`, i, figure)
		}
	}
	const count = `Number(document.querySelector("#p0-facts .%s").textContent.replaceAll(",", ""))`
	b.wait(count+" > 0", "delivered")
	pause := func() { // HMETRICS_SCREENSHOTS_AFTER lets the charts fill
		after, _ := time.ParseDuration(os.Getenv("HMETRICS_SCREENSHOTS_AFTER"))
		time.Sleep(after)
	}
	shoot := func(when string) {
		for _, scheme := range []string{"light", "dark"} {
			for _, width := range []int64{1280, 390} {
				b.shoot(fmt.Sprintf("%s-%s-%d", when, scheme, width), scheme, width)
			}
		}
	}
	pause()
	shoot("before")

	// Whatever the fault, what is not delivered is pending, tried again, and told.
	for _, fault := range []string{"503", "429", "hang", "reset"} {
		if fault == "429" {
			b.do(chromedp.Focus(chromedp.CSS(`button[value="429"]`)))
			b.key(kb.Enter)
			b.wait(`document.activeElement.value === "429" && document.activeElement.ariaPressed === "true"`)
		} else {
			b.press(fault)
		}
		accepted := eval[int](b, count, "accepted")
		retried := eval[int](b, count, "retried")
		b.wait(count+" > 0 && "+count+" > %d && document.querySelector('#p0-facts .holds')", "pending", "retried", retried)
		b.wait(`/^Outage: nothing was accepted since \d\d:\d\d:\d\d /.test(document.querySelector("#p0-facts .bad").textContent)`)
		if n := eval[int](b, count, "accepted"); n > accepted+1 {
			t.Errorf("%d reports were accepted while the endpoint had the fault %s", n-accepted, fault)
		}
		if fault == "503" {
			pause()
			b.wait(`/^[1-9].* ago$/.test(document.querySelector("#p0-facts .ago").textContent)`)
			shoot("during")
		}
		b.press("none")
		b.wait(count+" > %d && "+count+" === 0 && document.querySelector('#p0-facts .holds')", "accepted", accepted+1, "pending")
		b.wait(`document.querySelector("#p0-facts .state").textContent.startsWith("Last outage: ")`)
		if fault == "503" {
			pause()
			shoot("after")
			b.shootTop("readme-light", "light", 1160)
			b.shootTop("readme-dark", "dark", 1160)
		}
	}

	// Values can be read with the keyboard and with the pointer.
	const output = `document.querySelector("#p0-%s output").textContent`
	b.do(chromedp.Focus(chromedp.CSS("#p0-heap")))
	b.key(kb.ArrowLeft)
	b.wait(`/^\d\d:\d\d:\d\d \S+  heap [\d.]+ [KM]iB, goal [\d.]+ MiB$/.test(`+output+`)`, "heap")
	b.save("keyboard", chromedp.CaptureScreenshot())
	last := eval[string](b, output, "heap")
	b.key(kb.ArrowLeft)
	b.wait(output+" !== %q", "heap", last)
	b.key(kb.Enter)
	b.wait(`!document.querySelector("#p0-raw").hidden && "counters" in JSON.parse(document.querySelector("#p0-raw").textContent)`)
	b.tidy()
	b.hover("#p0-objects .u-over")
	b.wait(`/objects [\d,]+(, after an outage of .*)?$/.test(`+output+`)`, "objects")
	b.save("pointer", chromedp.CaptureScreenshot())
	b.do(chromedp.Click(chromedp.CSS("#p0-objects .u-over")))
	b.wait(`document.querySelector("#p0-raw").parentElement.open`)
	b.tidy()
	b.do(chromedp.Click(chromedp.CSS("#view [name=minutes]")))
	b.wait(`document.querySelector("#p0-gcs .how").textContent === "sum" && document.querySelector("#p0-heap .how").textContent === "max"`)
	b.shoot("minutes", "light", 1280)
	if loaded := eval[string](b, "window.loaded || 'again'"); loaded != "once" {
		t.Error("the page was loaded again")
	}

	// Without scripts, the same page shows the latest state and its buttons work.
	b.withoutScripts()
	b.do(
		chromedp.Navigate(found[0][1]),
		chromedp.WaitVisible(chromedp.CSS("#p0-rows td")),
		chromedp.Click(chromedp.CSS(`button[value="503"]`)),
		chromedp.WaitVisible(chromedp.CSS(`button[value="503"][aria-pressed="true"]`)),
	)
	b.save("without-scripts", chromedp.CaptureScreenshot())
	b.do(
		chromedp.Click(chromedp.CSS(`button[value="none"]`)),
		chromedp.WaitVisible(chromedp.CSS(`button[value="none"][aria-pressed="true"]`)),
	)
	b.wantQuiet()
}

// TestHostile has a process send what could script the page.
func TestHostile(t *testing.T) {
	b := open(t)
	name := `</h2><script>alert(1)</script><img src=x onerror=alert(2)>`
	found := command(t, "./test/serve", []string{"--", name, "javascript:alert(3)"},
		`^page: (http://127\.0\.0\.1:\d+/)$`, `<img.*HEROKU_METRICS_URL=(http://127\.0\.0\.1:\d+/[0-9a-f]+)$`)
	post := func(contentType, body string) {
		t.Helper()
		resp, err := http.Post(found[1][1], contentType, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}
	document := func(n string) string {
		return strings.ReplaceAll(`{"counters":{"go.gc.collections":N,"go.gc.pause.ns":N},"gauges":{"go.memory.heap.bytes":N,"go.memory.stack.bytes":N,"go.memory.heap.objects":N,"go.gc.goal":N,"go.routines":N}}`, "N", n)
	}
	b.do(chromedp.Navigate(found[0][1]))
	b.wait(`document.querySelector("#live").textContent === "Connected."`)
	for i, n := range []string{"1", "1.7e308", "0", "5e-324"} {
		post("application/json", document(n))
		b.wait(`document.querySelector("#p0-facts .accepted")?.textContent === "%d"`, i+1)
	}
	for _, evil := range []string{
		`{"<script>alert(4)</script>":{}}`,
		`{"counters":{"<img src=x onerror=alert(5)>":1},"gauges":{}}`,
		`<svg onload=alert(6)>`,
	} {
		post("application/json", evil)
	}
	post("<img/src=x onerror=alert(7)>", document("1"))
	b.wait(`document.querySelector("#p0-facts .refused").textContent === "4"`)
	b.wait(`document.querySelector("#p0-facts .why").textContent.includes("<img/src=x onerror=alert(7)>")`)
	if got := b.text("#p0-name"); got != name {
		t.Errorf("the first process is %q, want %q", got, name)
	}
	// Its documents are shown as text, also where they are opened by themselves.
	b.do(chromedp.Navigate(found[0][1] + "reports?process=0"))
	if title := b.text("h1"); title != "Reports of "+name {
		t.Errorf("the list of reports is headed %q", title)
	}
	b.do(chromedp.Navigate(found[0][1] + "report?process=0&n=2"))
	raw := eval[string](b, "document.body.innerText")
	if !json.Valid([]byte(raw)) || !strings.Contains(raw, "1.7e308") {
		t.Errorf("the raw report is %q", raw)
	}
	for _, elements := range []string{"script:not([src])", "img"} {
		if n := eval[int](b, "document.querySelectorAll(%q).length", elements); n > 0 {
			t.Errorf("%d elements are %s", n, elements)
		}
	}
	b.wantQuiet()
}
