package reporter

import (
	"net/http"
	"strconv"
)

// heroku is the format of Heroku's metrics service: JSON, with counters as they
// grew since the last document that was delivered.
type heroku struct {
	sampler
	acked, sent totals
}

func (h *heroku) header() http.Header {
	return http.Header{"Content-Type": {"application/json"}}
}

func (h *heroku) document() ([]byte, error) {
	s, err := h.sample()
	h.sent = s.totals
	return appendDocument(make([]byte, 0, 320), s, h.acked), err
}

func (h *heroku) retry(status int) bool {
	return status == http.StatusTooManyRequests || status/100 == 5
}

func (h *heroku) delivered([]byte) error {
	h.acked = h.sent
	return nil
}

// appendDocument appends the report of s to buf: counters as they grew since
// acked, gauges as they are.
func appendDocument(buf []byte, s sample, acked totals) []byte {
	number := func(before string, n uint64) { buf = strconv.AppendUint(append(buf, before...), n, 10) }
	number(`{"counters":{"go.gc.collections":`, uint64(s.collections-acked.collections))
	number(`,"go.gc.pause.ns":`, s.pauseNS-acked.pauseNS)
	for i, n := range s.gauges {
		number(gauges[i].before, n)
	}
	number(`,"go.routines":`, s.goroutines)
	return append(buf, "}}"...)
}
