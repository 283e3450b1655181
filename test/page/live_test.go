package page

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// A browser is a stream that is read.
type browser struct {
	conn  io.Closer
	parts chan []part
}

func look(t *testing.T, p *Page, query string) *browser {
	t.Helper()
	resp, err := http.Get(p.URL() + "live" + query)
	if err != nil {
		t.Fatal(err)
	}
	if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Fatalf("%d, %s", resp.StatusCode, ct)
	}
	b := &browser{conn: resp.Body, parts: make(chan []part, 1000)}
	t.Cleanup(func() { resp.Body.Close() })
	go func() {
		defer close(b.parts)
		event := ""
		r := bufio.NewReader(resp.Body)
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if name, ok := cut(line, "event: "); ok {
				event = name
			}
			if data, ok := cut(line, "data: "); ok && event == "parts" {
				var parts []part
				if err := json.Unmarshal([]byte(data), &parts); err != nil {
					t.Error(err)
				}
				b.parts <- parts
			}
		}
	}()
	return b
}

func cut(line, prefix string) (string, bool) {
	return strings.TrimSpace(strings.TrimPrefix(line, prefix)), strings.HasPrefix(line, prefix)
}

// until reads until a part has the given text, and returns the IDs of all parts
// that came.
func (b *browser) until(t *testing.T, id, text string) map[string]bool {
	t.Helper()
	ids := map[string]bool{}
	late := time.After(20 * time.Second)
	for {
		select {
		case parts, ok := <-b.parts:
			if !ok {
				t.Fatal("the stream has ended")
			}
			found := false
			for _, part := range parts {
				ids[part.ID] = true
				found = found || part.ID == id && strings.Contains(string(part.HTML), text)
			}
			if found {
				return ids
			}
		case <-late:
			t.Fatalf("no part %s with %s came", id, text)
		}
	}
}

func TestStream(t *testing.T) {
	s, p := start(t, "web", "worker")
	b := look(t, p, "")
	if ids := b.until(t, "p1-facts", "waiting"); len(ids) != 2+2*(3+len(figures)) {
		t.Errorf("at first came %v", ids)
	}
	report(t, s.URL("worker"), good)
	for id := range b.until(t, "p1-facts", `<dd class="accepted">1</dd>`) {
		if !strings.HasPrefix(id, "p1-") {
			t.Errorf("the worker reported, and the part %s came", id)
		}
	}
	p.Close()
	for range b.parts {
	}
	if _, err := http.Get(p.URL()); err == nil {
		t.Error("the page is still served")
	}
}

// A hundred browsers look, and twenty of them never read. That costs a report
// nothing, and each change is drawn once.
func TestAHundredBrowsers(t *testing.T) {
	s, p := start(t, "web")
	p.pace, p.slow = 5*time.Millisecond, 2*time.Second
	url := s.URL("web")

	var alone []time.Duration
	for i := 0; i < 50; i++ {
		_, took := report(t, url, good)
		alone = append(alone, took)
	}
	var browsers []*browser
	for i := 0; i < 80; i++ {
		browsers = append(browsers, look(t, p, ""))
	}
	for i := 0; i < 20; i++ {
		conn, err := net.Dial("tcp", strings.Trim(strings.TrimPrefix(p.URL(), "http:"), "/"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.(*net.TCPConn).SetReadBuffer(1 << 12)
		fmt.Fprintf(conn, "GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
	}
	for _, b := range browsers {
		b.until(t, "p0-facts", `<dd class="accepted">50</dd>`)
	}
	p.drawn.mu.Lock()
	before := p.drawn.count
	p.drawn.mu.Unlock()

	const n = 200
	var slowest, sum time.Duration
	for i := 0; i < n; i++ {
		_, took := report(t, url, good)
		sum += took
		if took > slowest {
			slowest = took
		}
	}
	var each sync.WaitGroup
	for _, b := range browsers {
		b := b
		each.Add(1)
		go func() {
			defer each.Done()
			b.until(t, "p0-facts", fmt.Sprintf(`<dd class="accepted">%d</dd>`, 50+n))
			go func() {
				for range b.parts {
				}
			}()
		}()
	}
	each.Wait()
	p.drawn.mu.Lock()
	drawn := p.drawn.count - before
	p.drawn.mu.Unlock()
	if drawn > 2*n { // an attempt, and its acceptance
		t.Errorf("%d reports were drawn %d times", n, drawn)
	}
	var sumAlone time.Duration
	for _, took := range alone {
		sumAlone += took
	}
	t.Logf("a report takes %v, with a hundred browsers %v, the slowest %v; %d reports were drawn %d times",
		sumAlone/time.Duration(len(alone)), sum/n, slowest, n, drawn)
	if slowest > 2*time.Second {
		t.Errorf("a report took %v", slowest)
	}

	// Those that do not read are dropped as soon as there is no room for more.
	late := time.Now().Add(20 * time.Second)
	for {
		p.mu.Lock()
		streams := p.streams
		p.mu.Unlock()
		if streams == 80 {
			break
		}
		if time.Now().After(late) {
			t.Fatalf("%d streams are left, want 80", streams)
		}
		report(t, url, good)
	}
}
