package page

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// until reads the stream of a browser until the facts of a process hold the text. It
// returns the numbers of the reports that came.
func until(t *testing.T, stream *bufio.Reader, id, text string) (numbers []float64) {
	t.Helper()
	for {
		line, err := stream.ReadString('\n')
		if err != nil {
			t.Fatalf("no facts of %s with %s came: %v", id, text, err)
		}
		var u update
		if json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &u) != nil {
			continue
		}
		for _, c := range u.Changed {
			if c.ID == id {
				for _, r := range c.Reports {
					numbers = append(numbers, r[0])
				}
				if strings.Contains(string(c.Parts["facts"]), text) {
					return numbers
				}
			}
		}
	}
}

// look opens the stream of a browser.
func look(t *testing.T, p *Page) *bufio.Reader {
	t.Helper()
	resp, err := (&http.Client{Timeout: 20 * time.Second}).Get(p.URL() + "live")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Fatalf("%d, %s", resp.StatusCode, ct)
	}
	return bufio.NewReader(resp.Body)
}

// Each report comes once, whenever a browser began to look.
func TestStream(t *testing.T) {
	s, p := start(t, "web", "worker")
	p.pace = time.Millisecond
	early := look(t, p)
	until(t, early, "p1", "Waiting")
	for range 3 {
		report(t, s.URL("worker"), good)
	}
	late := look(t, p)
	report(t, s.URL("worker"), good)
	for _, stream := range []*bufio.Reader{early, late} {
		if n := until(t, stream, "p1", `<dd class="accepted">4</dd>`); fmt.Sprint(n) != "[1 2 3 4]" {
			t.Errorf("the reports %v came", n)
		}
	}
	p.Close()
	if rest, err := io.ReadAll(early); err != nil || !strings.Contains(string(rest), "event: end") {
		t.Errorf("the stream ends with %q, %v", rest, err)
	}
	if _, err := http.Get(p.URL()); err == nil {
		t.Error("the page is still served")
	}
}

// Browsers that never read cost a report nothing, and are dropped.
func TestBrowsersThatDoNotRead(t *testing.T) {
	s, p := start(t, "web")
	p.pace, p.slow = time.Millisecond, time.Second
	for range 20 {
		conn, err := net.Dial("tcp", p.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.(*net.TCPConn).SetReadBuffer(1 << 12)
		fmt.Fprintf(conn, "GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
		if _, err := io.ReadFull(conn, make([]byte, 12)); err != nil { // it is served
			t.Fatal(err)
		}
	}
	go io.Copy(io.Discard, look(t, p))
	for late, streams := time.Now().Add(20*time.Second), 0; streams != 1; {
		if _, took := report(t, s.URL("web"), good); took > 2*time.Second {
			t.Fatalf("a report took %v", took)
		}
		if time.Now().After(late) {
			t.Fatalf("%d streams are left, want 1", streams)
		}
		p.mu.Lock()
		streams = p.streams
		p.mu.Unlock()
	}
}
