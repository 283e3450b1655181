package browser

import (
	"cmp"
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
)

// A tab is a browser's.
type tab struct {
	*testing.T
	ctx context.Context
}

// open starts a browser with a new profile and nothing but this tab. Errors of
// its pages fail the test, and so does what their security policy does not allow, such
// as to load something from elsewhere.
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
	b.ctx, _ = chromedp.NewContext(alloc, chromedp.WithListener(b.hear))
	t.Cleanup(func() { chromedp.Cancel(b.ctx) }) // waits for the browser to end
	return b
}

func (b *tab) hear(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.Errorf("exception: %s", e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		b.Errorf("console %s: %s %s", e.Entry.Level, e.Entry.Text, e.Entry.URL)
	}
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.Fatal(err)
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

// wait waits until an expression is true. The page's security policy lets nobody
// but the debugger evaluate, so the waiting is done here.
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

// faint are the texts and lines that stand out less from what is behind them than
// WCAG asks for, 4.5 and 3 times its luminance.
const faint = `(() => {
	const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
	const linear = (c) => (c <= 10 ? c / 3294.6 : ((c / 255 + .055) / 1.055) ** 2.4);
	const luminance = ([r, g, b]) => .2126 * linear(r) + .7152 * linear(g) + .0722 * linear(b) + .05;
	const behind = (e) => {
		const colour = channels(getComputedStyle(e).backgroundColor);
		return colour[3] === 0 ? behind(e.parentElement) : luminance(colour);
	};
	const seen = [...document.querySelectorAll("main *, .bar *, header *")].filter((e) => e.checkVisibility());
	const texts = seen.filter((e) => [...e.childNodes].some((n) => n.nodeType === Node.TEXT_NODE && n.data.trim()));
	const lines = seen.filter((e) => e.className === "u-marker");
	return [...texts.map((e) => [e, "color", behind(e), 4.5]), ...lines.map((e) => [e, "borderTopColor", behind(e.parentElement), 3])]
		.map(([e, property, back, least]) => [e, luminance(channels(getComputedStyle(e)[property])), back, least])
		.filter(([e, front, back, least]) => Math.max(front, back) < least * Math.min(front, back)).map(([e]) => e.parentElement.textContent);
})()`

// wide is what sticks out.
const wide = `[...document.querySelectorAll(".bar *, section *")].filter((e) => e.checkVisibility() &&
	e.getBoundingClientRect().right > e.closest(".bar, section").getBoundingClientRect().right).map((e) => e.outerHTML.slice(0, 100))`

// shoot makes screenshots of the page from its top to the end of an element, in a
// directory that HMETRICS_SCREENSHOTS may name, and looks for what is too wide or faint.
func (b *tab) shoot(name, until string, width int64) {
	b.Helper()
	for _, scheme := range []string{"light", "dark"} {
		call(b, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		b.do(chromedp.EmulateViewport(width, 900, chromedp.EmulateScale(2)))
		height := eval[float64](b, `(scrollTo(0, 0), document.querySelector(%q).getBoundingClientRect().bottom)`, until)
		b.do(chromedp.EmulateViewport(width, int64(height)+20, chromedp.EmulateScale(2)))
		png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			b.Fatal(err)
		}
		dir := cmp.Or(os.Getenv("HMETRICS_SCREENSHOTS"), b.TempDir())
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%s-%d.png", name, scheme, width)), png, 0o666); err != nil {
			b.Fatal(err)
		}
		if list := eval[[]string](b, wide); len(list) > 0 {
			b.Errorf("at a width of %d these do not fit: %q", width, list)
		}
		if list := eval[[]string](b, faint); len(list) > 0 {
			b.Errorf("in the scheme %s these are faint: %q", scheme, list)
		}
	}
	b.do(chromedp.ResetViewport())
}
