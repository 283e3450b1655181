package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/dsnet/try"
)

// A tab is a tab of a browser.
type tab struct {
	*testing.T
	ctx context.Context
}

// open starts a browser with a new profile and only this tab. Errors of its pages fail the
// test, and so do violations of their security policy, such as loading from elsewhere.
func open(t *testing.T) *tab {
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no browser is installed here; on Debian: apt-get install chromium")
	}
	alloc, cancel := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.NoSandbox, // CI runs as root
		chromedp.WindowSize(1280, 900),
	)...)
	t.Cleanup(cancel)
	b := &tab{T: t}
	b.ctx, _ = chromedp.NewContext(alloc, chromedp.WithListener(b.handleEvent))
	t.Cleanup(func() { chromedp.Cancel(b.ctx) }) // waits for the browser to end
	return b
}

func (b *tab) handleEvent(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.Errorf("exception: %s", e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		b.Errorf("console %s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL)
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	try.E(chromedp.Do(b.ctx, actions...))
}

// call calls a method of the browser's debugger.
func call[P, R any](b *tab, method cdp.Command[P, R], params P) {
	b.Helper()
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, method, params)
		return err
	}))
}

// eval returns the value of an expression.
func eval[T any](b *tab, format string, args ...any) T {
	b.Helper()
	expression := fmt.Sprintf(format, args...)
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.Fatalf("evaluating %s: %v", expression, err)
	}
	return v
}

// wait waits until an expression is true. The page's security policy lets only the debugger
// evaluate expressions, so wait polls.
func (b *tab) wait(format string, args ...any) {
	b.Helper()
	for late := time.Now().Add(25 * time.Second); !eval[bool](b, "Boolean("+format+")", args...); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(late) {
			b.Fatalf("%s did not become true\n%s", fmt.Sprintf(format, args...), eval[string](b, "document.body.innerText"))
		}
	}
}

// press clicks the button of a fault and waits until the page shows it pressed.
func (b *tab) press(fault string) {
	b.Helper()
	button := fmt.Sprintf("button[value=%q]", fault)
	b.do(chromedp.Click(chromedp.CSS(button)), chromedp.WaitVisible(chromedp.CSS(button+`[aria-pressed="true"]`)))
}

// shoot takes screenshots of the page from its top to the end of an element, if
// HMETRICS_SCREENSHOTS names a directory.
func (b *tab) shoot(name, until string, width int64) {
	b.Helper()
	dir := os.Getenv("HMETRICS_SCREENSHOTS")
	if dir == "" {
		return
	}
	for _, scheme := range []string{"light", "dark"} {
		call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		b.do(chromedp.EmulateViewport(width, 900, chromedp.EmulateScale(2)))
		height := eval[float64](b, `(scrollTo(0, 0), document.querySelector(%q).getBoundingClientRect().bottom)`, until)
		b.do(chromedp.EmulateViewport(width, int64(height)+20, chromedp.EmulateScale(2)))
		png := try.E1(chromedp.Run(b.ctx, chromedp.CaptureScreenshot()))
		try.E(os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s-%d.png", name, scheme, width)), png, 0o666))
	}
	b.do(chromedp.ResetViewport())
}
