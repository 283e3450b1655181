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
	buf = append(buf, `{"counters":{"go.gc.collections":`...)
	buf = strconv.AppendUint(buf, uint64(s.collections-acked.collections), 10)
	buf = append(buf, `,"go.gc.pause.ns":`...)
	buf = strconv.AppendUint(buf, s.pauseNS-acked.pauseNS, 10)
	buf = append(buf, `},"gauges":{"go.memory.heap.bytes":`...)
	buf = strconv.AppendUint(buf, s.heapBytes, 10)
	buf = append(buf, `,"go.memory.stack.bytes":`...)
	buf = strconv.AppendUint(buf, s.stackBytes, 10)
	buf = append(buf, `,"go.memory.heap.objects":`...)
	buf = strconv.AppendUint(buf, s.heapObjects, 10)
	buf = append(buf, `,"go.gc.goal":`...)
	buf = strconv.AppendUint(buf, s.gcGoal, 10)
	buf = append(buf, `,"go.routines":`...)
	buf = strconv.AppendUint(buf, s.goroutines, 10)
	return append(buf, "}}"...)
}
