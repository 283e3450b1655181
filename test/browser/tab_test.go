package browser

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// A tab is a browser's, of which everything that must not happen is noted.
type tab struct {
	ctx context.Context
	t   *testing.T

	mu       sync.Mutex
	problems []string
}

// open starts a browser with a profile of its own and nothing but this tab.
func open(t *testing.T) *tab {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no browser is installed here; on Debian: apt-get install chromium")
	}
	alloc, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.UserDataDir(t.TempDir()),
		chromedp.NoSandbox, // CI runs as root
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.WindowSize(1280, 900),
	)...)
	t.Cleanup(cancel)
	b := &tab{t: t}
	ctx, _ := chromedp.NewContext(alloc, chromedp.WithListener(b.hear))
	t.Cleanup(func() { chromedp.Cancel(ctx) })                  // waits for the browser to end
	ctx, cancelTime := context.WithTimeout(ctx, 15*time.Minute) // go test's own comes first
	t.Cleanup(cancelTime)
	b.ctx = ctx
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		if _, err := chromedp.Call(ctx, network.Enable, network.EnableParams{}); err != nil {
			return err
		}
		return nil
	}))
	return b
}

// hear notes errors of the page, and requests that leave this machine.
func (b *tab) hear(event any) {
	problem := ""
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		u, err := url.Parse(e.Request.URL)
		if err != nil || !net.ParseIP(u.Hostname()).IsLoopback() {
			problem = "request to " + e.Request.URL
		}
	case *runtime.EventExceptionThrown:
		problem = "exception: " + e.ExceptionDetails.Text
	case *runtime.EventConsoleAPICalled:
		problem = fmt.Sprintf("console.%s was called", e.Type)
	case *log.EventEntryAdded:
		problem = fmt.Sprintf("console %s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL)
	}
	if problem != "" {
		b.mu.Lock()
		b.problems = append(b.problems, problem)
		b.mu.Unlock()
	}
}

// wantQuiet says what should not have happened.
func (b *tab) wantQuiet() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		b.t.Error(p)
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatalf("%v\n%s", err, b.body())
	}
}

func (b *tab) body() string {
	s, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
	return "the page:\n" + s
}

// eval returns the value of an expression.
func eval[T any](b *tab, format string, args ...any) T {
	b.t.Helper()
	expression := fmt.Sprintf(format, args...)
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("evaluating %s: %v\n%s", expression, err, b.body())
	}
	return v
}

// wait waits until an expression is true. The page's security policy lets nobody
// but the debugger evaluate, so the waiting is done here.
func (b *tab) wait(format string, args ...any) {
	b.t.Helper()
	expression := fmt.Sprintf(format, args...)
	late := time.After(25 * time.Second)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if eval[bool](b, "Boolean(%s)", expression) {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			b.t.Fatalf("%s did not become true\n%s", expression, b.body())
		}
	}
}

func (b *tab) text(selector string) string {
	b.t.Helper()
	return eval[string](b, "document.querySelector(%q).textContent.trim()", selector)
}

// press clicks the button of a fault and waits until the page shows it pressed.
func (b *tab) press(fault string) {
	b.t.Helper()
	b.do(chromedp.Click(chromedp.CSS(fmt.Sprintf("button[value=%q]", fault))))
	b.wait(`document.querySelector('button[value="%s"]').ariaPressed === "true"`, fault)
}

// key presses keys.
func (b *tab) key(keys string) {
	b.t.Helper()
	b.do(chromedp.KeyEvent(keys))
}

// hover moves the pointer over an element.
func (b *tab) hover(selector string) {
	b.t.Helper()
	at := eval[[2]float64](b, `(() => {
		const e = document.querySelector(%q);
		e.scrollIntoView({block: "center"});
		const r = e.getBoundingClientRect();
		return [r.x + r.width / 2, r.y + r.height / 2];
	})()`, selector)
	b.do(chromedp.MouseEvent("mouseMoved", at[0], at[1]))
}

// tidy puts the page back as it was when it was opened.
func (b *tab) tidy() {
	b.t.Helper()
	eval[bool](b, `(() => {
		for (const d of document.querySelectorAll("details")) d.open = false;
		document.activeElement.blur();
		scrollTo(0, 0);
		return true;
	})()`)
	b.do(chromedp.MouseEvent("mouseMoved", 5, 5))
}

// shoot makes a screenshot of the whole page.
func (b *tab) shoot(name, scheme string, width int64) {
	b.t.Helper()
	b.prepare(scheme, width, 900)
	if wide := eval[int](b, "document.documentElement.scrollWidth"); wide > int(width) {
		b.t.Errorf("at a width of %d the page is %d wide", width, wide)
	}
	b.save(name, chromedp.FullScreenshot(100))
}

// shootTop makes a screenshot of the page down to the end of the first process.
func (b *tab) shootTop(name, scheme string, width int64) {
	b.t.Helper()
	b.prepare(scheme, width, 900)
	height := eval[float64](b, `document.querySelector("section").getBoundingClientRect().bottom`)
	b.prepare(scheme, width, int64(height)+20)
	b.save(name, chromedp.CaptureScreenshot())
}

// prepare has the page shown in a colour scheme and a size.
func (b *tab) prepare(scheme string, width, height int64) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}); err != nil {
		b.t.Fatal(err)
	}
	b.do(chromedp.EmulateViewport(width, height, chromedp.EmulateScale(2)))
}

// save writes a screenshot into the directory that HMETRICS_SCREENSHOTS names.
func (b *tab) save(name string, shot chromedp.Action[[]byte]) {
	b.t.Helper()
	dir := os.Getenv("HMETRICS_SCREENSHOTS")
	if dir == "" {
		dir = b.t.TempDir()
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		b.t.Fatal(err)
	}
	png, err := chromedp.Run(b.ctx, shot)
	if err != nil {
		b.t.Fatal(err)
	}
	file := filepath.Join(dir, name+".png")
	if err := os.WriteFile(file, png, 0o666); err != nil {
		b.t.Fatal(err)
	}
	b.t.Logf("%s has %d bytes", file, len(png))
	b.do(chromedp.ResetViewport())
}

// withoutScripts has the pages that are opened from now on run no scripts.
func (b *tab) withoutScripts() {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		b.t.Fatal(err)
	}
}
