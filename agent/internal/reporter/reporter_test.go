//go:build go1.25

//go:debug asynctimerchan=0

package reporter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// These tests use a fake clock, so their times are exact.

const url20 = "http://example.com/0123456789abcdef"

var standard = Config{Interval: s20, Timeout: 10 * time.Second, Retries: 3}

func answer(code int, header ...string) (*http.Response, error) {
	h := http.Header{}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: code, ProtoMajor: 1, ProtoMinor: 1, Header: h, Body: http.NoBody}, nil
}

// A fakeWorld records when what happens.
type fakeWorld struct {
	start   time.Time
	mu      sync.Mutex
	log     []string
	serve   func(r *http.Request) (*http.Response, error)
	handler func(error) error
	config  Config
	r       Reporter
}

func newFakeWorld() *fakeWorld {
	return &fakeWorld{start: time.Now(), config: standard, r: Reporter{format: &heroku{}}}
}

func (w *fakeWorld) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, fmt.Sprintf("%v ", time.Since(w.start))+fmt.Sprintf(format, args...))
}

func (w *fakeWorld) options() Options {
	return Options{
		Endpoint: func() string { return url20 },
		Config:   w.config,
		Failed: func(err error) error {
			w.note("%s", strings.TrimPrefix(err.Error(), "reporting Go metrics to http://example.com: "))
			if w.handler != nil {
				return w.handler(err)
			}
			return nil
		},
		Delivered: func() { w.note("delivered") },
		dependencies: &dependencies{
			random: func() float64 { return 0 },
			transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
				io.Copy(io.Discard, r.Body)
				w.note("attempt")
				return w.serve(r)
			}),
		},
	}
}

func (w *fakeWorld) expect(t *testing.T, want ...string) {
	t.Helper()
	if got, want := strings.Join(w.log, "\n"), strings.Join(want, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// run reports for d, then cancels and waits.
func (w *fakeWorld) run(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if err := w.r.Run(ctx, w.options()); err != nil {
		t.Errorf("Run: %v", err)
	}
	w.note("over")
}

func TestReportsAtASteadyPhaseAndOnceMoreAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWorld()
		w.serve = func(*http.Request) (*http.Response, error) {
			time.Sleep(time.Second) // late answers shift nothing
			return answer(200)
		}
		w.run(t, 59*time.Second)
		time.Sleep(time.Hour) // nothing comes after the end
		w.expect(t,
			"20s attempt", "21s delivered",
			"40s attempt", "41s delivered",
			"59s attempt", "1m0s delivered", "1m0s over")
	})
}

func TestWaitsBetweenAttemptsGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWorld()
		w.serve = func(*http.Request) (*http.Response, error) { return answer(503) }
		w.run(t, 39*time.Second)
		w.expect(t,
			"20s attempt", "20.5s attempt", "21.5s attempt", "23.5s attempt",
			"23.5s the endpoint answered 503 Service Unavailable",
			"39s attempt", "39s the endpoint answered 503 Service Unavailable", "39s over")
	})
}

func TestAttemptsStayWithinTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWorld()
		w.config.Retries = 1000
		w.serve = func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		w.run(t, 55*time.Second)
		w.expect(t,
			"20s attempt", "30.5s attempt",
			"40s context deadline exceeded",
			"40s attempt", "50.5s attempt",
			"57s context canceled", // two seconds later
			"57s over")
	})
}

func TestRetryAfterIsObeyedWithinTheInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWorld()
		answers := []string{"7", "30", time.Now().Add(70 * time.Second).UTC().Format(http.TimeFormat), "-1"}
		w.serve = func(*http.Request) (*http.Response, error) {
			if len(answers) == 0 {
				return answer(200)
			}
			a := answers[0]
			answers = answers[1:]
			return answer(429, "Retry-After", a)
		}
		w.run(t, 81*time.Second)
		w.expect(t,
			"20s attempt", "27s attempt",
			"40s the endpoint answered 429 Too Many Requests", // 30s is too long
			"40s attempt", "1m0s the endpoint answered 429 Too Many Requests", // 70s too
			"1m0s attempt", "1m0.5s attempt", "1m0.5s delivered",
			"1m20s attempt", "1m20s delivered",
			"1m21s attempt", "1m21s delivered", "1m21s over")
	})
}

func TestStatusesThatAreRetried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for code := 200; code < 600; code++ {
			if code/100 == 3 {
				continue
			}
			n := 0
			w := newFakeWorld()
			w.serve = func(*http.Request) (*http.Response, error) { n++; return answer(code) }
			ctx, cancel := context.WithCancel(t.Context())
			o := w.options()
			o.Delivered = cancel
			o.Failed = func(error) error { return errors.New("enough") }
			w.r.Run(ctx, o)
			want := 1
			if code == 429 || code >= 500 {
				want = 4
			}
			if code/100 == 2 {
				want = 2 // the one at the end
			}
			if n != want {
				t.Errorf("%d: %d attempts, want %d", code, n, want)
			}
			cancel()
		}
	})
}

// An attempt that is under way when reporting is canceled is finished: if it were cut off, it
// might be counted twice.
func TestCancelLetsAnAttemptFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWorld()
		w.serve = func(r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(3 * time.Second):
				return answer(200)
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}
		w.run(t, 22*time.Second)
		w.expect(t, "20s attempt", "23s delivered", "23s attempt", "24s context canceled", "24s over")
	})
}

func TestCancelEndsTheWaitForAnotherAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWorld()
		n := 0
		w.serve = func(*http.Request) (*http.Response, error) {
			if n++; n == 1 {
				return answer(503, "Retry-After", "15")
			}
			return answer(200)
		}
		w.run(t, 25*time.Second)
		w.expect(t,
			"20s attempt",
			"25s the endpoint answered 503 Service Unavailable",
			"25s attempt", "25s delivered", "25s over")
	})
}

func TestTheLastAttemptIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWorld()
		w.serve = func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		w.run(t, time.Second)
		w.expect(t, "1s attempt", "3s context canceled", "3s over")
	})
}

func TestAContextThatIsCanceledAlready(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWorld()
		w.run(t, 0)
		w.expect(t, "0s over")
	})
}

// A slow body delays neither the next report nor the acknowledgement.
func TestASlowBodyIsCutOffAfterASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWorld()
		w.serve = func(r *http.Request) (*http.Response, error) {
			resp, err := answer(200)
			pr, pw := io.Pipe()
			context.AfterFunc(r.Context(), func() { pw.CloseWithError(r.Context().Err()) })
			resp.Body = pr
			return resp, err
		}
		w.run(t, 22*time.Second)
		w.expect(t, "20s attempt", "21s delivered", "22s attempt", "23s delivered", "23s over")
	})
}

type byteCount int64

func (c *byteCount) Read(p []byte) (int, error) { *c += byteCount(len(p)); return len(p), nil }
func (c *byteCount) Close() error               { return nil }

func TestAtMost64KiBOfAnAnswerAreRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, code := range []int{200, 404, 503} {
			w := newFakeWorld()
			w.config.Retries = 0
			var read byteCount
			w.serve = func(*http.Request) (*http.Response, error) {
				resp, err := answer(code)
				resp.Body = &read
				return resp, err
			}
			w.run(t, time.Second)
			if read > 64<<10 {
				t.Errorf("%d: read %d bytes", code, read)
			}
		}
	})
}

// While the handler is slow, reports are dropped, not piled up, and the phase stays.
func TestASlowHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWorld()
		w.serve = func(*http.Request) (*http.Response, error) { return answer(404) }
		var inside atomic.Int32
		w.handler = func(error) error {
			if inside.Add(1) != 1 {
				t.Error("two calls of the handler at a time")
			}
			time.Sleep(50 * time.Second)
			inside.Add(-1)
			return nil
		}
		w.run(t, 100*time.Second)
		w.expect(t,
			"20s attempt", "20s the endpoint answered 404 Not Found",
			"1m10s attempt", "1m10s the endpoint answered 404 Not Found", // that of 60s, late
			"2m0s over")
	})
}

func TestAHandlerThatReturnsAnErrorEndsReporting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWorld()
		enough := errors.New("enough")
		w.serve = func(*http.Request) (*http.Response, error) { return answer(404) }
		n := 0
		w.handler = func(error) error {
			if n++; n == 2 {
				return enough
			}
			return nil
		}
		if err := w.r.Run(t.Context(), w.options()); err != nil {
			t.Errorf("Run returned %v", err)
		}
		w.expect(t, "20s attempt", "20s the endpoint answered 404 Not Found", "40s attempt", "40s the endpoint answered 404 Not Found")
	})
}

// A panic of the handler reaches its author, and reporting can begin again.
func TestAPanicOfTheHandlerIsNotSwallowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWorld()
		w.serve = func(*http.Request) (*http.Response, error) { return answer(404) }
		w.handler = func(error) error { panic("from the handler") }
		func() {
			defer func() {
				if p := recover(); p != "from the handler" {
					t.Errorf("recovered %v", p)
				}
			}()
			w.r.Run(t.Context(), w.options())
		}()
		w.serve = func(*http.Request) (*http.Response, error) { return answer(200) }
		w.log = nil
		w.run(t, time.Second)
		w.expect(t, "21s attempt", "21s delivered", "21s over")
	})
}

func TestAPanicOfTheReporterIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWorld()
		n := 0
		w.serve = func(r *http.Request) (*http.Response, error) {
			if n++; n == 1 {
				panic("ours, at " + r.URL.String())
			}
			return answer(200)
		}
		w.run(t, 41*time.Second)
		w.expect(t,
			"20s attempt", "20s the reporter panicked: string",
			"40s attempt", "40s delivered", "41s attempt", "41s delivered", "41s over")
	})
}

// Another run may follow a canceled one at once. It waits for the last attempt and repeats no
// count.
func TestRunAfterACanceledRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWorld()
		var docs [][]byte
		w.serve = func(r *http.Request) (*http.Response, error) {
			body, _ := r.GetBody()
			doc, _ := io.ReadAll(body)
			docs = append(docs, doc)
			time.Sleep(time.Second)
			return answer(200)
		}
		first, cancel := context.WithCancel(t.Context())
		go func() {
			w.r.Run(first, w.options())
			w.note("first over")
		}()
		synctest.Wait()
		if err := w.r.Run(t.Context(), w.options()); err != ErrRunning {
			t.Errorf("a second run: %v", err)
		}
		cancel()
		w.run(t, 25*time.Second) // begins while the first is at its last attempt
		w.expect(t,
			"0s attempt", "1s delivered", "1s first over",
			"21s attempt", "22s delivered", "25s attempt", "26s delivered", "26s over")
		if bytes.Contains(docs[0], []byte(`"go.gc.collections":0`)) == (collections() > 0) {
			t.Errorf("first report %s", docs[0])
		}
	})
}

func TestRunAfterACanceledRunEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newFakeWorld()
		w.serve = func(*http.Request) (*http.Response, error) { return answer(404) }
		release := make(chan struct{})
		w.handler = func(error) error { <-release; return nil }
		first, cancel := context.WithCancel(t.Context())
		go w.r.Run(first, w.options())
		synctest.Wait()
		cancel()
		synctest.Wait() // the handler blocks in the last report
		w.log = nil
		w.run(t, time.Second)
		w.expect(t, "1s over")
		close(release)
	})
}
