//go:build go1.25

package reporter

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
)

// A month of reports every 20 s, with faults and outages of every kind and a restart of
// reporting each day, loses and doubles no count. At its end, the agent holds no more than
// after the first day. It is a week unless HMETRICS_TEST_SLOW is 1, and under the race
// detector, which is slow. The function is long because everything in it shares state.
func TestAMonth(t *testing.T) {
	days := 7
	if os.Getenv("HMETRICS_TEST_SLOW") == "1" && race == 0 {
		days = 30
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	const day = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		draw := rand.New(rand.NewPCG(seed, 0))
		start := time.Now()
		var accepted sample
		var attempts, reports, failures int
		server := endpoint.New(endpoint.Options{Keep: 1})
		server.OnReport(func(r endpoint.Report) {
			accepted.collections += uint32(r.Collections)
			accepted.pauseNS += uint64(r.PauseNS)
			reports++
		})
		target := server.URL("web.1")

		down := func() bool { // from the third hour of each day for up to 4 hours
			d := time.Since(start)
			return d%day > 3*time.Hour && d%day < 3*time.Hour+time.Duration(int(d/day)%5)*time.Hour
		}
		refused := errors.New("connection refused")
		transport := roundTripFunc(func(r *http.Request) (*http.Response, error) {
			attempts++
			if attempts%100 == 0 {
				runtime.GC() // something to be lost
			}
			kind := draw.IntN(20)
			if down() {
				kind = draw.IntN(7)
			}
			switch kind {
			case 0:
				return nil, refused
			case 1:
				return answer(500 + draw.IntN(5))
			case 2:
				return answer(429, "Retry-After", "3")
			case 3:
				return answer(404)
			case 4: // a black hole
				<-r.Context().Done()
				return nil, r.Context().Err()
			case 5: // a late refusal
				time.Sleep(time.Duration(draw.IntN(5000)) * time.Millisecond)
				return answer(503)
			case 6:
				return answer(302, "Location", "http://elsewhere.example/")
			case 7: // a late acceptance
				time.Sleep(time.Duration(draw.IntN(1500)) * time.Millisecond)
			}
			rec := httptest.NewRecorder()
			server.ServeHTTP(rec, r)
			return rec.Result(), nil
		})

		var h heroku
		r := Reporter{format: &h}
		var after1, afterAll struct {
			heap       uint64
			goroutines int
		}
		measure := func() (m runtime.MemStats, goroutines int) {
			runtime.GC()
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m, runtime.NumGoroutine()
		}
		for d := 1; d <= days; d++ {
			ctx, cancel := context.WithTimeout(t.Context(), day)
			err := r.Run(ctx, Options{
				Endpoint:     func() string { return target },
				Config:       standard,
				Failed:       func(error) error { failures++; return nil },
				dependencies: &dependencies{transport: transport, random: draw.Float64},
			})
			cancel()
			if err != nil {
				t.Fatalf("day %d: %v", d, err)
			}
			synctest.Wait()
			if d == 1 || d == days {
				m, goroutines := measure()
				if d == 1 {
					after1.heap, after1.goroutines = m.HeapAlloc, goroutines
				} else {
					afterAll.heap, afterAll.goroutines = m.HeapAlloc, goroutines
				}
			}
		}

		var s heroku
		now, err := s.sample()
		if err != nil {
			t.Fatal(err)
		}
		pending := sample{collections: now.collections - h.acked.collections, pauseNS: now.pauseNS - h.acked.pauseNS}
		t.Logf("%v: %d attempts, %d reports accepted, %d failed; %d collections: %d accepted, %d pending; heap %d B after a day, %d B at the end; %d goroutines, then %d",
			time.Since(start), attempts, reports, failures, now.collections, accepted.collections, pending.collections, after1.heap, afterAll.heap, after1.goroutines, afterAll.goroutines)
		if accepted.collections+pending.collections != now.collections || accepted.pauseNS+pending.pauseNS != now.pauseNS {
			t.Errorf("accepted %+v and pending %+v do not add up to %+v", accepted, pending, now)
		}
		if rejected := server.Rejected(); len(rejected) > 0 {
			t.Errorf("rejected %+v", rejected)
		}
		if reports < 3000*days || failures < 500*days || accepted.collections < uint32(30*days) {
			t.Errorf("this was no %d days", days)
		}
		if afterAll.goroutines != after1.goroutines {
			t.Errorf("%d goroutines after a day, %d at the end", after1.goroutines, afterAll.goroutines)
		}
		if int64(afterAll.heap)-int64(after1.heap) > 64<<10 {
			t.Errorf("the heap grew from %d to %d bytes", after1.heap, afterAll.heap)
		}
	})
}
