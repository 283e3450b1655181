package reporter

import (
	"context"
	"errors"
	"net"
	"runtime"
	"testing"
	"time"
)

// An endpoint that accepts connections and never answers does not make the agent's memory,
// goroutines or descriptors grow.
func TestNothingIsHeldForAnEndpointThatNeverAnswers(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close() // the kernel takes the connections; nobody accepts them

	enough := errors.New("enough")
	var goroutines []int
	var heap []uint64
	err = (&Reporter{format: &heroku{}}).Run(context.Background(), Options{
		Endpoint: func() string { return "http://" + ln.Addr().String() + "/0123456789" },
		Config:   Config{Interval: 20 * time.Millisecond, Timeout: 10 * time.Millisecond, Retries: 3},
		Failed: func(error) error {
			var m runtime.MemStats
			goroutines = append(goroutines, runtime.NumGoroutine())
			if n := len(goroutines); n == 50 || n == 150 {
				runtime.GC()
				runtime.GC()
				runtime.ReadMemStats(&m)
				heap = append(heap, m.HeapAlloc)
			}
			if len(goroutines) == 150 {
				return enough
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	most := func(n []int) (most int) {
		for _, n := range n {
			if n > most {
				most = n
			}
		}
		return most
	}
	early, late := most(goroutines[:50]), most(goroutines[50:])
	t.Logf("at most %d goroutines during 50 reports and %d during 100 more; heap %d B and %d B", early, late, heap[0], heap[1])
	if late > early+4 {
		t.Error("goroutines pile up")
	}
	if heap[1] > heap[0]+64<<10 {
		t.Error("the heap grows")
	}
}
