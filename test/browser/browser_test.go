// Package browser looks at the page of agent/endpoint in a real browser, while real
// processes report.
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
	b.wait(`document.querySelector("#live").textContent === "Live."`)
	const columns = `document.querySelectorAll("#p%d-%s .hit").length`
	for i, name := range []string{"web", "worker"} {
		if got := b.text(fmt.Sprintf("#p%d", i)); got != name {
			t.Errorf("process %d is %q, want %q", i, got, name)
		}
		for _, figure := range []string{"heap", "gcs", "pause", "stack", "objects", "goroutines"} {
			b.wait(columns+" >= 2", i, figure)
		}
	}
	for i := 0; i < 2; i++ {
		b.wait(columns+" > %d", i, "heap", eval[int](b, columns, i, "heap"))
	}
	const (
		count   = `Number(document.querySelector("#p1-%s .%s").textContent.replaceAll(",", ""))`
		holding = `document.querySelectorAll(".equation.holds").length === 4 && document.querySelectorAll(".equation.off").length === 0`
	)
	b.wait(count+" > 0", "proof", "delivered")

	// Whatever the fault, what is not delivered is pending, tried again, and told.
	for _, fault := range []string{"503", "429", "hang", "reset"} {
		if fault == "429" {
			b.do(chromedp.Focus(chromedp.CSS(`button[value="429"]`)))
			b.key(kb.Enter)
			b.wait(`document.activeElement.value === "429" && document.activeElement.ariaPressed === "true"`)
		} else {
			b.press(fault)
		}
		accepted := eval[int](b, count, "facts", "accepted")
		retried := eval[int](b, count, "facts", "retried")
		b.wait(count+" > 0 && "+count+" > %d && "+holding, "proof", "pending", "facts", "retried", retried)
		if fault == "503" {
			if n := eval[int](b, count, "facts", "accepted"); n > accepted+1 {
				t.Errorf("%d reports were accepted while the endpoint answered 503", n-accepted)
			}
			b.shoot("fault", "light", 1280)
		}
		b.press("none")
		b.wait(count+" > %d && "+count+" === 0 && "+holding, "facts", "accepted", accepted+1, "proof", "pending")
	}
	for _, e := range []string{"true total", "nothing lost"} {
		if proof := b.text("#p1-proof"); !strings.Contains(proof, e) {
			t.Errorf("the proof does not say %q: %s", e, proof)
		}
	}
	b.wait(`((proof) => proof(".pending") === "0" && proof(".delivered") === proof(".total"))((s) => document.querySelector("#p1-proof " + s).textContent)`)

	// Values can be read with the keyboard and with the pointer.
	b.do(chromedp.Focus(chromedp.CSS("#p1-heap-figure")))
	b.key(kb.ArrowLeft)
	b.wait(`/^\d\d:\d\d:\d\d  heap [\d.]+ [KM]iB, GC goal [\d.]+ MiB$/.test(document.querySelector("#p1-heap-figure output").textContent)`)
	last := b.text("#p1-heap-figure output")
	b.key(kb.ArrowLeft)
	b.wait(`document.querySelector("#p1-heap-figure output").textContent !== %q`, last)
	b.key(kb.Enter)
	b.wait(`!document.querySelector("#p1-raw").hidden && "counters" in JSON.parse(document.querySelector("#p1-raw").textContent)`)
	b.tidy()
	b.hover("#p1-objects .hit")
	b.wait(`/objects [\d,]+$/.test(document.querySelector("#p1-objects-figure output").textContent)`)
	b.do(chromedp.Click(chromedp.CSS("#p1-objects .hit")))
	b.wait(`document.querySelector("#p1-raw").parentElement.open`)
	b.tidy()

	if loaded := eval[string](b, "window.loaded || 'again'"); loaded != "once" {
		t.Error("the page was loaded again")
	}
	b.shoot("light", "light", 1280)
	b.shoot("dark", "dark", 1280)
	b.shoot("phone", "light", 360)
	b.shoot("phone-dark", "dark", 360)

	if after, err := time.ParseDuration(os.Getenv("HMETRICS_SCREENSHOTS_AFTER")); err == nil {
		time.Sleep(after) // so that the charts are full
		b.press("503")
		b.wait(count+" > 2", "proof", "pending")
		b.shootTop("readme-light", "light", 1160)
		b.shootTop("readme-dark", "dark", 1160)
		b.press("none")
	}

	// Without scripts, the same page shows the latest state and its buttons work.
	b.withoutScripts()
	b.do(
		chromedp.Navigate(found[0][1]),
		chromedp.WaitVisible(chromedp.CSS("#p0-heap svg")),
		chromedp.Click(chromedp.CSS(`button[value="503"]`)),
		chromedp.WaitVisible(chromedp.CSS(`button[value="503"][aria-pressed="true"]`)),
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
	b.wait(`document.querySelector("#live").textContent === "Live."`)
	for i, n := range []string{"1", "1.7e308", "0", "5e-324"} {
		post("application/json", document(n))
		b.wait(`document.querySelectorAll("#p0-heap .hit").length === %d`, i+1)
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
	if got := b.text("#p0"); got != name {
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
	for _, elements := range []string{"script:not([src='/page.js'])", "img"} {
		if n := eval[int](b, "document.querySelectorAll(%q).length", elements); n > 0 {
			t.Errorf("%d elements are %s", n, elements)
		}
	}
	b.wantQuiet()
}
