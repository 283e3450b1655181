package page

import (
	"testing"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
)

func filled(n int) *history {
	h := &history{}
	for i := 1; i <= n; i++ {
		h.add(endpoint.Report{Goroutines: float64(i), HeapBytes: float64(-i), Body: make([]byte, 250)})
	}
	return h
}

func TestHistoryKeepsAnHour(t *testing.T) {
	h := filled(5000)
	if len(h.reports) != 3600 || cap(h.reports) > 2*3600 || h.bytes != 3600*250 {
		t.Errorf("%d reports are kept in room for %d, %d bytes", len(h.reports), cap(h.reports), h.bytes)
	}
	if r, n := h.last(); n != 5000 || r.Goroutines != 5000 {
		t.Errorf("the last one is %d, with %v", n, r.Goroutines)
	}
	if r, ok := h.get(1401); !ok || r.Goroutines != 1401 {
		t.Errorf("the first one that is kept has %v, %t", r.Goroutines, ok)
	}
	for _, n := range []int{-1, 0, 1400, 5001} {
		if _, ok := h.get(n); ok {
			t.Errorf("report %d is kept", n)
		}
	}
	for i := 0; i < 100; i++ {
		h.add(endpoint.Report{Body: make([]byte, 64<<10)})
	}
	if h.bytes > keepBytes {
		t.Errorf("%d bytes are kept", h.bytes)
	}
	if _, ok := (&history{}).get(0); ok {
		t.Error("an empty history has a report")
	}
}

func TestColumns(t *testing.T) {
	for _, tt := range []struct{ reports, reach, columns, of, first int }{
		{0, 120, 0, 0, 0},
		{1, 120, 1, 1, 1},
		{120, 120, 120, 1, 1},
		{500, 120, 120, 1, 381},
		{240, 3600, 120, 2, 2},
		{241, 3600, 81, 3, 3},
		{3600, 3600, 120, 30, 30},
		{5000, 3600, 120, 30, 1440},
	} {
		cols := filled(tt.reports).columns(120, tt.reach)
		if len(cols) != tt.columns {
			t.Errorf("%+v: %d columns", tt, len(cols))
			continue
		}
		if len(cols) == 0 {
			continue
		}
		if c := cols[0]; c.N != tt.first || c.Goroutines != float64(tt.first) || c.HeapBytes != float64(tt.of-tt.first-1) {
			t.Errorf("%+v: the first column is %d with %v and %v", tt, c.N, c.Goroutines, c.HeapBytes)
		}
		if last := cols[len(cols)-1]; last.N != tt.reports {
			t.Errorf("%+v: the last column ends with %d", tt, last.N)
		}
	}
}
