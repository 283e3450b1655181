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

// look reads the page's stream until the test ends.
func look(t *testing.T, p *Page) <-chan update {
	t.Helper()
	resp, err := http.Get(p.URL() + "live")
	if err != nil {
		t.Fatal(err)
	}
	if ct := resp.Header.Get("Content-Type"); ct != "text/event-stream" {
		t.Fatalf("%d, %s", resp.StatusCode, ct)
	}
	updates := make(chan update, 1000)
	done := make(chan struct{})
	t.Cleanup(func() { resp.Body.Close(); <-done })
	go func() {
		defer close(done)
		defer close(updates)
		for r := bufio.NewReader(resp.Body); ; {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if data := strings.TrimPrefix(line, "data: "); data != line {
				var u update
				if err := json.Unmarshal([]byte(data), &u); err != nil {
					t.Error(err)
				}
				updates <- u
			}
		}
	}()
	return updates
}

// until returns the numbers of the reports that come until the facts of a process
// hold the text.
func until(t *testing.T, updates <-chan update, id, text string) (numbers []float64) {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		select {
		case u, ok := <-updates:
			if !ok {
				t.Fatal("the stream has ended")
			}
			for _, c := range u.Changed {
				if c.ID != id {
					continue
				}
				for _, r := range c.Reports {
					numbers = append(numbers, r[0])
				}
				if strings.Contains(string(c.Facts), text) {
					return numbers
				}
			}
		case <-late:
			t.Fatalf("no facts of %s with %s came", id, text)
		}
	}
}

// Each report comes once, whenever a browser began to look.
func TestStream(t *testing.T) {
	s, p := start(t, "web", "worker")
	p.pace = time.Millisecond
	early := look(t, p)
	until(t, early, "p1", "Waiting")
	for i := 0; i < 3; i++ {
		report(t, s.URL("worker"), good)
	}
	late := look(t, p)
	report(t, s.URL("worker"), good)
	for _, updates := range []<-chan update{early, late} {
		if n := until(t, updates, "p1", `<dd class="accepted">4</dd>`); fmt.Sprint(n) != "[1 2 3 4]" {
			t.Errorf("the reports %v came", n)
		}
	}
	p.Close()
	for range early {
	}
	if _, err := http.Get(p.URL()); err == nil {
		t.Error("the page is still served")
	}
}

// Browsers that never read cost a report nothing, and are dropped.
func TestBrowsersThatDoNotRead(t *testing.T) {
	s, p := start(t, "web")
	p.pace, p.slow = time.Millisecond, time.Second
	for i := 0; i < 20; i++ {
		conn, err := net.Dial("tcp", strings.Trim(strings.TrimPrefix(p.URL(), "http:"), "/"))
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
	reading := look(t, p)
	go func() {
		for range reading {
		}
	}()
	late := time.Now().Add(20 * time.Second)
	for {
		if _, took := report(t, s.URL("web"), good); took > 2*time.Second {
			t.Fatalf("a report took %v", took)
		}
		p.mu.Lock()
		streams := p.streams
		p.mu.Unlock()
		if streams == 1 {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("%d streams are left, want 1", streams)
		}
	}
}
