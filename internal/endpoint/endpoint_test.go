package endpoint

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

const good = `{"counters":{"go.gc.collections":2,"go.gc.pause.ns":345},` +
	`"gauges":{"go.memory.heap.bytes":1e6,"go.memory.stack.bytes":65536,"go.memory.heap.objects":1200,"go.gc.goal":4194304,"go.routines":7}}`

func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// post sends a document on a connection of its own and returns the status,
// 0 if no answer came.
func post(t *testing.T, ctx context.Context, url, body string) (int, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "POST", url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	return do(req)
}

func do(req *http.Request) (int, error) {
	req.Close = true
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	c := &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := c.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<10))
	return resp.StatusCode, err
}

func TestAcceptsAReport(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s := start(t, Options{Now: func() time.Time { return at }})
	ctx := within(t, 10*time.Second)
	var heard []Report
	stop := s.OnReport(func(r Report) { heard = append(heard, r) })
	if code, err := post(t, ctx, s.URL("web.1"), good); code != 200 || err != nil {
		t.Fatalf("got %d, %v", code, err)
	}
	stop()
	if code, err := post(t, ctx, s.URL("worker.1"), good); code != 200 || err != nil {
		t.Fatalf("got %d, %v", code, err)
	}
	reports, err := s.Wait(ctx, 2)
	if err != nil || len(reports) != 2 {
		t.Fatalf("got %v, %v", reports, err)
	}
	got, body := reports[0], reports[0].Body
	got.Body = nil
	want := Report{Process: "web.1", Received: at, Collections: 2, PauseNS: 345, HeapBytes: 1e6, StackBytes: 65536, HeapObjects: 1200, GCGoal: 4194304, Goroutines: 7}
	if fmt.Sprint(got) != fmt.Sprint(want) || !bytes.Equal(body, []byte(good)) {
		t.Errorf("got %+v with body %s", got, body)
	}
	if reports[1].Process != "worker.1" {
		t.Errorf("second report is %s's", reports[1].Process)
	}
	if len(heard) != 1 || heard[0].Process != "web.1" {
		t.Errorf("the subscriber heard %v", heard)
	}
	if r := s.Rejected(); len(r) != 0 {
		t.Errorf("rejected %v", r)
	}
}

func TestURLIsASecretOfEachProcess(t *testing.T) {
	s := start(t, Options{})
	a, b := s.URL("web.1"), s.URL("web.2")
	if a == b || a != s.URL("web.1") || strings.Contains(a, "web") {
		t.Errorf("URLs %s, %s, then %s", a, b, s.URL("web.1"))
	}
	if secret := a[strings.LastIndex(a, "/")+1:]; len(secret) != 32 {
		t.Errorf("secret %q", secret)
	}
	if other := start(t, Options{}).URL("web.1"); other[strings.LastIndex(other, "/"):] == a[strings.LastIndex(a, "/"):] {
		t.Error("two servers share a secret")
	}
}

// A document is refused, with the reason, for whatever may be wrong with it. The function
// is long because it is a table.
func TestRejects(t *testing.T) {
	s := start(t, Options{})
	ctx := within(t, 20*time.Second)
	swap := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("no %q to replace", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	cases := []struct {
		name, body string
		change     func(*http.Request)
		status     int
		reason     string
	}{
		{"method", good, func(r *http.Request) { r.Method = "PUT" }, 405, "method PUT"},
		{"path", good, func(r *http.Request) { r.URL.Path += "0" }, 404, "no process"},
		{"content type", good, func(r *http.Request) { r.Header.Set("Content-Type", "text/json") }, 415, "text/json"},
		{"no content type", good, func(r *http.Request) { r.Header.Del("Content-Type") }, 415, "Content-Type"},
		{"empty", "", nil, 400, "not one JSON"},
		{"cut short", good[:len(good)-1], nil, 400, "not one JSON"},
		{"two documents", good + good, nil, 400, "not one JSON"},
		{"array", "[" + good + "]", nil, 400, "not an object"},
		{"null", "null", nil, 400, "not an object"},
		{"group missing", `{"counters":{"go.gc.collections":2,"go.gc.pause.ns":345}}`, nil, 400, `"gauges"`},
		{"group is null", swap(good[12:strings.Index(good, "}")+1], "null"), nil, 400, "not an object"},
		{"group repeated", `{"counters":{"go.gc.collections":2,"go.gc.pause.ns":345},` + good[1:], nil, 400, "repeated"},
		{"group unknown", swap(`{"counters"`, `{"x":1,"counters"`), nil, 400, `"x"`},
		{"group in another case", swap("gauges", "Gauges"), nil, 400, `"Gauges"`},
		{"key missing", swap(`"go.gc.collections":2,`, ""), nil, 400, "go.gc.collections"},
		{"key unknown", swap("go.routines", "go.goroutines"), nil, 400, "go.goroutines"},
		{"key repeated", swap(`"go.routines":7`, `"go.routines":7,"go.routines":8`), nil, 400, "repeated"},
		{"key in the other group", swap("go.gc.pause.ns", "go.gc.goal"), nil, 400, "go.gc.goal"},
		{"string", swap(":7", `:"7"`), nil, 400, "not a number"},
		{"null value", swap(":7", `:null`), nil, 400, "not a number"},
		{"object value", swap(":7", `:{}`), nil, 400, "not a number"},
		{"negative", swap(":345", ":-1"), nil, 400, "-1"},
		{"infinite", swap(":345", ":1e999"), nil, 400, "1e999"},
		{"long", good + strings.Repeat(" ", maxBody), nil, 413, "bytes"},
	}
	for _, c := range cases {
		req, err := http.NewRequestWithContext(ctx, "POST", s.URL("web.1"), strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if c.change != nil {
			c.change(req)
		}
		before := len(s.Rejected())
		if code, err := do(req); code != c.status {
			t.Errorf("%s: got %d, %v, want %d", c.name, code, err, c.status)
		}
		rejected := s.Rejected()
		if len(rejected) != before+1 {
			t.Errorf("%s: not in Rejected", c.name)
			continue
		}
		if r := rejected[before]; r.Status != c.status || !strings.Contains(r.Reason, c.reason) {
			t.Errorf("%s: rejected as %d %q, want %d with %q", c.name, r.Status, r.Reason, c.status, c.reason)
		}
	}
	if r := s.Reports(); len(r) != 0 {
		t.Errorf("accepted %v", r)
	}
}

func TestKeepsABoundedNumber(t *testing.T) {
	s := start(t, Options{Keep: 2})
	ctx := within(t, 10*time.Second)
	for i := 1; i <= 4; i++ {
		post(t, ctx, s.URL("web.1"), strings.Replace(good, ":7}", fmt.Sprintf(":%d}", i), 1))
		post(t, ctx, s.URL("web.1"), "bad")
	}
	reports, err := s.Wait(ctx, 4)
	if err != nil || len(reports) != 2 || reports[0].Goroutines != 3 || reports[1].Goroutines != 4 {
		t.Errorf("kept %v, %v", reports, err)
	}
	if r := s.Rejected(); len(r) != 2 {
		t.Errorf("kept refusals %v", r)
	}
}

// Documents as large as they may be do not add up to more than a bound.
func TestKeepsABoundedSize(t *testing.T) {
	s := New(Options{})
	padded := []byte(good + strings.Repeat(" ", maxBody-len(good)))
	const n = maxKept/maxBody + 10
	for i := 0; i < n; i++ {
		s.store(Report{Goroutines: float64(i), Body: padded})
	}
	kept := s.Reports()
	if len(kept) != maxKept/maxBody || kept[len(kept)-1].Goroutines != n-1 {
		t.Errorf("%d reports are kept", len(kept))
	}
}

func TestKeepsShortReasons(t *testing.T) {
	s := start(t, Options{})
	ctx := within(t, 10*time.Second)
	post(t, ctx, s.URL("web.1"), `{"`+strings.Repeat("é", maxBody/4)+`":1}`)
	r := s.Rejected()
	if len(r) != 1 || len(r[0].Reason) > maxSaid+len("…") || !strings.HasPrefix(r[0].Reason, `unexpected or repeated key "éé`) || !utf8.ValidString(r[0].Reason) {
		t.Errorf("rejected %v", r)
	}
}

func TestAttempts(t *testing.T) {
	sw := &Switch{}
	s := start(t, Options{Fault: sw.Fault})
	ctx := within(t, 10*time.Second)
	var got []string
	s.OnAttempt(func(a Attempt) {
		got = append(got, fmt.Sprintf("attempt of %s: %v GCs, unread %t, refused %q", a.Process, a.Collections, a.Unread, a.Refused))
	})
	s.OnReport(func(r Report) { got = append(got, "report of "+r.Process) })
	url := s.URL("web.1")
	post(t, ctx, url, good)
	for _, f := range []Fault{Status(503), ResetRead(), ResetUnread()} {
		sw.Set(f)
		post(t, ctx, url, good)
	}
	sw.Set(Fault{})
	post(t, ctx, url, "[]")
	post(t, ctx, url+"0", good)
	post(t, ctx, url, good)
	want := `attempt of web.1: 2 GCs, unread false, refused ""
report of web.1
attempt of web.1: 2 GCs, unread false, refused ""
attempt of web.1: 2 GCs, unread false, refused ""
attempt of web.1: 0 GCs, unread true, refused ""
attempt of web.1: 0 GCs, unread false, refused "the document is not an object"
attempt of web.1: 2 GCs, unread false, refused ""
report of web.1`
	if g := strings.Join(got, "\n"); g != want {
		t.Errorf("got\n%s\nwant\n%s", g, want)
	}
}

func TestWaitEnds(t *testing.T) {
	s := start(t, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Wait(ctx, 1); err == nil || !strings.Contains(err.Error(), "1 reports, 0 came") {
		t.Errorf("canceled: %v", err)
	}
	go s.Close()
	if _, err := s.Wait(context.Background(), 1); err == nil {
		t.Error("Wait outlived Close")
	}
}

func TestCloseEndsABlackHole(t *testing.T) {
	entered := make(chan struct{})
	s := start(t, Options{Fault: func(Request) Fault { close(entered); return BlackHole() }})
	done := make(chan error, 1)
	go func() {
		_, err := post(t, context.Background(), s.URL("web.1"), good)
		done <- err
	}()
	<-entered
	s.Close()
	if err := <-done; err == nil {
		t.Error("the black hole answered")
	}
}

func TestStartOnATakenAddress(t *testing.T) {
	s := start(t, Options{})
	addr := strings.TrimPrefix(s.base, "http://")
	if _, err := Start(Options{Addr: addr}); err == nil || !strings.Contains(err.Error(), addr) {
		t.Errorf("got %v", err)
	}
}
