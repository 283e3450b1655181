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

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// A tab is a browser's, of which everything that must not happen is noted.
type tab struct {
	*testing.T
	ctx context.Context

	mu       sync.Mutex
	problems []string
}

// open starts a browser with a profile of its own and nothing but this tab.
func open(t *testing.T) *tab {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
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
	b := &tab{T: t}
	ctx, _ := chromedp.NewContext(alloc, chromedp.WithListener(b.hear))
	t.Cleanup(func() { chromedp.Cancel(ctx) })                  // waits for the browser to end
	ctx, cancelTime := context.WithTimeout(ctx, 15*time.Minute) // go test's own comes first
	t.Cleanup(cancelTime)
	b.ctx = ctx
	call(b, network.Enable, network.EnableParams{})
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
		defer b.mu.Unlock()
		b.problems = append(b.problems, problem)
	}
}

// wantQuiet says what should not have happened.
func (b *tab) wantQuiet() {
	b.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, p := range b.problems {
		b.Error(p)
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.Fatalf("%v\n%s", err, b.body())
	}
}

// call calls a method of the browser's debugger.
func call[P, R any](b *tab, method cdp.Command[P, R], params P) {
	b.Helper()
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, method, params)
		return err
	}))
}

func (b *tab) body() string {
	s, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string]("document.body.innerText"))
	return "the page:\n" + s
}

// eval returns the value of an expression.
func eval[T any](b *tab, format string, args ...any) T {
	b.Helper()
	expression := fmt.Sprintf(format, args...)
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.Fatalf("evaluating %s: %v\n%s", expression, err, b.body())
	}
	return v
}

// wait waits until an expression is true. The page's security policy lets nobody
// but the debugger evaluate, so the waiting is done here.
func (b *tab) wait(format string, args ...any) {
	b.Helper()
	for late := time.Now().Add(25 * time.Second); !eval[bool](b, "Boolean("+format+")", args...); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(late) {
			b.Fatalf("%s did not become true\n%s", fmt.Sprintf(format, args...), b.body())
		}
	}
}

// press clicks the button of a fault and waits until the page shows it pressed.
func (b *tab) press(fault string) {
	b.Helper()
	b.do(chromedp.Click(chromedp.CSS(fmt.Sprintf("button[value=%q]", fault))))
	b.wait(`document.querySelector('button[value="%s"]').ariaPressed === "true"`, fault)
}

// shoot makes a screenshot of the whole page, or of the page down to the end of the
// first process, in a directory that HMETRICS_SCREENSHOTS may name.
func (b *tab) shoot(name, scheme string, width int64, whole bool) {
	b.Helper()
	call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	})
	b.do(chromedp.EmulateViewport(width, 900, chromedp.EmulateScale(2)))
	if wide := eval[int](b, "document.documentElement.scrollWidth"); wide > int(width) {
		b.Errorf("at a width of %d the page is %d wide", width, wide)
	}
	shot := chromedp.FullScreenshot(100)
	if !whole {
		height := eval[float64](b, `document.querySelector("section").getBoundingClientRect().bottom`)
		b.do(chromedp.EmulateViewport(width, int64(height)+20, chromedp.EmulateScale(2)))
		shot = chromedp.CaptureScreenshot()
	}
	png, err := chromedp.Run(b.ctx, shot)
	if err != nil {
		b.Fatal(err)
	}
	dir := os.Getenv("HMETRICS_SCREENSHOTS")
	if dir == "" {
		dir = b.TempDir()
	}
	if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s-%d.png", name, scheme, width)), png, 0o666); err != nil {
		b.Fatal(err)
	}
	b.do(chromedp.ResetViewport())
}
