package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// What a sender sees of each fault, and whether the server accepted.
func TestFaults(t *testing.T) {
	cases := []struct {
		fault    Fault
		status   int // 0: no answer
		accepted int
	}{
		{Fault{}, 200, 1},
		{Status(202), 202, 1},
		{Status(503, "Retry-After", "7"), 503, 0},
		{Redirect(307, "/elsewhere"), 307, 0},
		{BlackHole(), 0, 0},
		{SlowHeaders(time.Millisecond), 200, 1},
		{SlowHeaders(time.Hour), 0, 0},
		{SlowBody(time.Hour), 200, 1},
		{EndlessBody(), 200, 1},
		{GzipBomb(), 200, 1},
		{ResetUnread(), 0, 0},
		{ResetRead(), 0, 0},
		{Raw("malformed status line", "HTTP/1.1 OK 200\r\n\r\n"), 0, 0},
		{Raw("head cut short", "HTTP/1.1 200 OK\r\nX: "), 0, 0},
		{Raw("HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n"), 200, 1},
	}
	for i, c := range cases {
		i, c := i, c
		t.Run(fmt.Sprint(i, c.fault.Name), func(t *testing.T) {
			s := start(t, Options{Fault: Script(c.fault)})
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			if c.status == 0 || c.fault.Name == "slow body" {
				cancel()
				ctx, cancel = context.WithTimeout(context.Background(), 200*time.Millisecond)
			}
			defer cancel()
			status, err := post(t, ctx, s.URL("web.1"), good)
			if status != c.status || (status == 0) != (err != nil && status == 0) {
				t.Errorf("got %d, %v, want %d", status, err, c.status)
			}
			s.Close()
			if n := len(s.Reports()); n != c.accepted {
				t.Errorf("accepted %d reports, want %d", n, c.accepted)
			}
			if r := s.Rejected(); len(r) != 0 {
				t.Errorf("rejected %v", r)
			}
		})
	}
}

func TestScriptThenHealthy(t *testing.T) {
	s := start(t, Options{Fault: Script(Status(500), Status(429))})
	ctx := within(t, 10*time.Second)
	var got []int
	for i := 0; i < 4; i++ {
		code, err := post(t, ctx, s.URL("web.1"), good)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, code)
	}
	if fmt.Sprint(got) != "[500 429 200 200]" {
		t.Errorf("answers %v", got)
	}
}

func TestFaultSeesTheRequest(t *testing.T) {
	var got []string
	s := start(t, Options{Fault: func(r Request) Fault {
		got = append(got, fmt.Sprintf("%s %d %s", r.Process, r.N, r.Header.Get("Content-Type")))
		return Fault{}
	}})
	ctx := within(t, 10*time.Second)
	post(t, ctx, s.URL("a"), good)
	post(t, ctx, s.URL("b"), good)
	post(t, ctx, s.URL("a"), good)
	if fmt.Sprint(got) != "[a 1 application/json b 1 application/json a 2 application/json]" {
		t.Errorf("decided upon %q", got)
	}
}

// Fault sees a refused report too, but cannot make it an accepted one.
func TestFaultDoesNotAcceptABadReport(t *testing.T) {
	s := start(t, Options{Fault: func(Request) Fault { return Status(200) }})
	if code, err := post(t, within(t, 10*time.Second), s.URL("a"), "{}"); code != http.StatusBadRequest {
		t.Errorf("got %d, %v", code, err)
	}
	if len(s.Reports()) != 0 || len(s.Rejected()) != 1 {
		t.Error("accepted a bad report")
	}
}

func TestBlackHoleIsSilent(t *testing.T) {
	s := start(t, Options{Fault: Script(BlackHole())})
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if _, err := post(t, ctx, s.URL("a"), good); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
