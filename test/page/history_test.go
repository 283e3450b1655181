package page

import (
	"math"
	"testing"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
)

func TestHistory(t *testing.T) {
	h := &history{}
	if _, ok := h.get(0); ok || len(h.newest(1)) > 0 {
		t.Error("an empty history has a report")
	}
	if rows, last := h.since(0); len(rows) > 0 || last > 0 {
		t.Errorf("an empty history has %v, up to %d", rows, last)
	}
	for i := 1; i <= 5000; i++ {
		h.add(endpoint.Report{Goroutines: float64(i), HeapBytes: math.MaxFloat64, Body: make([]byte, 250)})
	}
	if len(h.reports) != 3600 || cap(h.reports) > 2*3600 || h.bytes != 3600*250 {
		t.Errorf("%d reports are kept in room for %d, %d bytes", len(h.reports), cap(h.reports), h.bytes)
	}
	if r, ok := h.get(1401); !ok || r.Goroutines != 1401 {
		t.Errorf("the first one that is kept has %v, %t", r.Goroutines, ok)
	}
	for _, n := range []int{-1, 0, 1400, 5001} {
		if _, ok := h.get(n); ok {
			t.Errorf("report %d is kept", n)
		}
	}
	if rows := h.newest(2); len(rows) != 2 || rows[0].N != 5000 || rows[1].Goroutines != 4999 {
		t.Errorf("the newest are %v", rows)
	}
	for _, tt := range []struct{ n, first, rows int }{{0, 1401, 3600}, {4998, 4999, 2}, {5000, 0, 0}} {
		rows, last := h.since(tt.n)
		if last != 5000 || len(rows) != tt.rows || len(rows) > 0 && (rows[0][0] != float64(tt.first) || rows[0][6] != float64(tt.first) || rows[0][2] != 1e15) {
			t.Errorf("after %d come %d reports, up to %d", tt.n, len(rows), last)
		}
	}
	for i := 0; i < 100; i++ {
		h.add(endpoint.Report{Body: make([]byte, 64<<10)})
	}
	if h.bytes > keepBytes {
		t.Errorf("%d bytes are kept", h.bytes)
	}
}
