package endpoint

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"
)

// pb encodes a field: a string or bytes, a varint (int), 64 bits (uint64), a
// double, or a message of fields.
func pb(number int, value interface{}) []byte {
	var n [binary.MaxVarintLen64]byte
	switch v := value.(type) {
	case int:
		return append([]byte{byte(number << 3)}, n[:binary.PutUvarint(n[:], uint64(v))]...)
	case uint64:
		binary.LittleEndian.PutUint64(n[:], v)
		return append([]byte{byte(number<<3 | 1)}, n[:8]...)
	case float64:
		return pb(number, math.Float64bits(v))
	case string:
		return pb(number, []byte(v))
	case []byte:
		return append(append([]byte{byte(number<<3 | 2)}, n[:binary.PutUvarint(n[:], uint64(len(v)))]...), v...)
	}
	panic("no such type")
}

func join(fields ...[]byte) []byte { return bytes.Join(fields, nil) }

func numbers(ns ...uint64) (b []byte) {
	for _, n := range ns {
		b = append(b, pb(1, n)[1:]...)
	}
	return b
}

func attr(number int, key, value string) []byte {
	return pb(number, join(pb(1, key), pb(2, pb(1, value))))
}

var (
	start64, now64 = uint64(1e18), uint64(1e18 + 5e9)
	times          = join(pb(2, start64), pb(3, now64))

	resourceOK  = join(attr(1, "service.name", "app"), attr(1, "service.instance.id", "1"), attr(1, "telemetry.sdk.language", "go"))
	scopeOK     = pb(1, join(pb(1, "agent"), pb(2, "1")))
	cyclesOK    = pb(2, join(pb(1, "go.memory.gc.cycles"), pb(2, "what"), pb(3, "{gc_cycle}"), pb(7, join(pb(1, join(times, pb(6, uint64(9)))), pb(2, 2), pb(3, 1)))))
	usedOK      = pb(2, join(pb(1, "go.memory.used"), pb(2, "what"), pb(3, "By"), pb(7, join(pb(1, join(attr(7, "go.memory.type", "stack"), times, pb(6, uint64(1)))), pb(1, join(attr(7, "go.memory.type", "other"), times, pb(6, uint64(2)))), pb(2, 2)))))
	histogramOK = pb(2, join(pb(1, "go.schedule.duration"), pb(2, "what"), pb(3, "s"), pb(9, join(pb(1, join(times, pb(4, uint64(3)), pb(5, 0.5), pb(6, numbers(1, 2)), pb(7, numbers(math.Float64bits(0.1))))), pb(2, 2)))))
	goodExport  = request(resourceOK, scopeOK, cyclesOK, usedOK, histogramOK)
)

func request(resource []byte, scope ...[]byte) []byte {
	return pb(1, join(pb(1, resource), pb(2, join(scope...))))
}

func TestParsesAnExport(t *testing.T) {
	e, err := ParseExport(goodExport)
	if err != nil {
		t.Fatal(err)
	}
	h := e.Histograms["go.schedule.duration"]
	if e.Resource["service.name"] != "app" || e.ScopeName != "agent" || e.ScopeVers != "1" || e.Time.Sub(e.Start) != 5*time.Second ||
		e.Values["go.memory.gc.cycles"] != 9 || e.Values["go.memory.used{other}"] != 2 || h.Count != 3 || h.Sum != 0.5 || h.Counts[1] != 2 || h.Bounds[0] != 0.1 {
		t.Errorf("got %+v", e)
	}
}

func TestRefusesExports(t *testing.T) {
	point := func(fields ...[]byte) []byte { return join(append([][]byte{times}, fields...)...) }
	cycles := func(unit string, data []byte) []byte {
		return request(resourceOK, scopeOK, pb(2, join(pb(1, "go.memory.gc.cycles"), pb(2, "what"), pb(3, unit), data)))
	}
	histogram := func(fields ...[]byte) []byte {
		return request(resourceOK, scopeOK, pb(2, join(pb(1, "go.schedule.duration"), pb(2, "what"), pb(3, "s"), pb(9, join(pb(1, point(fields...)), pb(2, 2))))))
	}
	for want, document := range map[string][]byte{
		"the resource lacks service.name":                     nil,
		"cut off":                                             goodExport[:len(goodExport)-1],
		"the request has an unknown field 2":                  join(goodExport, pb(2, 1)),
		"the request has field 1 2 times":                     join(goodExport, goodExport),
		"twice":                                               request(join(resourceOK, attr(1, "service.name", "b")), scopeOK, cyclesOK),
		"lacks service.instance.id":                           request(join(attr(1, "service.name", "b")), scopeOK, cyclesOK),
		"the scope lacks":                                     request(resourceOK, cyclesOK),
		"there is no metric":                                  request(resourceOK, scopeOK),
		`no convention has a metric "go.x"`:                   request(resourceOK, scopeOK, pb(2, pb(1, "go.x"))),
		"metric go.memory.gc.cycles is there twice":           request(resourceOK, scopeOK, cyclesOK, cyclesOK),
		`has the unit "1", not {gc_cycle}`:                    cycles("1", nil),
		"Metric has an unknown field 5":                       cycles("{gc_cycle}", pb(5, "")),
		"temporality 0":                                       cycles("{gc_cycle}", pb(7, join(pb(1, point(pb(6, uint64(9)))), pb(3, 1)))),
		"go.memory.gc.goal has the aggregation temporality 1": request(resourceOK, scopeOK, pb(2, join(pb(1, "go.memory.gc.goal"), pb(2, "what"), pb(3, "By"), pb(7, pb(2, 1))))),
		"go.memory.gc.goal lacks a description":               request(resourceOK, scopeOK, pb(2, join(pb(1, "go.memory.gc.goal"), pb(3, "By")))),
		"monotonic is false":                                  cycles("{gc_cycle}", pb(7, join(pb(1, point(pb(6, uint64(9)))), pb(2, 2)))),
		"go.memory.gc.cycles is 0":                            cycles("{gc_cycle}", pb(7, join(pb(1, point(pb(4, 9.0))), pb(2, 2), pb(3, 1)))),
		"go.memory.gc.cycles is -1":                           cycles("{gc_cycle}", pb(7, join(pb(1, point(pb(6, ^uint64(0)))), pb(2, 2), pb(3, 1)))),
		"has attributes":                                      cycles("{gc_cycle}", pb(7, join(pb(1, point(attr(7, "a", "b"), pb(6, uint64(9)))), pb(2, 2), pb(3, 1)))),
		"has 0 points":                                        cycles("{gc_cycle}", pb(7, join(pb(2, 2), pb(3, 1)))),
		"a point is from":                                     cycles("{gc_cycle}", pb(7, join(pb(1, join(pb(3, now64), pb(6, uint64(9)))), pb(2, 2), pb(3, 1)))),
		"go.schedule.duration is {Count:4":                    histogram(pb(4, uint64(4)), pb(6, numbers(1, 2)), pb(7, numbers(1))),
		"the bounds of go.schedule.duration":                  histogram(pb(4, uint64(3)), pb(6, numbers(1, 1, 1)), pb(7, numbers(2, 1))),
		"numbers of 64 bits have 7 bytes":                     histogram(pb(4, uint64(3)), pb(6, "1234567")),
		"a string is not UTF-8":                               request(join(resourceOK, attr(1, "k", "\xff")), scopeOK, cyclesOK),
		"go.memory.used has the attribute go.type=x":          request(resourceOK, scopeOK, pb(2, join(pb(1, "go.memory.used"), pb(2, "what"), pb(3, "By"), pb(7, join(pb(1, point(attr(7, "go.type", "x"))), pb(2, 2)))))),
		"wire type 5":                                         {1<<3 | 5},
	} {
		if _, err := ParseExport(document); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestTakesExports(t *testing.T) {
	s := start(t, Options{Fault: Script(Status(503), Fault{}, PartialSuccess(1, "why"))})
	var told []string
	s.OnExport(func(e Export) { told = append(told, e.Process+" "+e.Refused) })
	ctx := within(t, 10*time.Second)
	var compressed bytes.Buffer
	z := gzip.NewWriter(&compressed)
	z.Write(goodExport)
	z.Close()
	for _, c := range []struct {
		kind, encoding string
		body           []byte
		status         int
	}{
		{"application/x-protobuf", "", goodExport, 503},
		{"application/x-protobuf", "gzip", compressed.Bytes(), 200},
		{"application/x-protobuf", "", goodExport, 200},
		{"application/json", "", goodExport, 415},
		{"application/x-protobuf", "zstd", goodExport, 415},
		{"application/x-protobuf", "gzip", goodExport, 400},
		{"application/x-protobuf", "", []byte("x"), 400},
	} {
		req, err := http.NewRequestWithContext(ctx, "POST", s.OTLPURL("web.1"), bytes.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", c.kind)
		if c.encoding != "" {
			req.Header.Set("Content-Encoding", c.encoding)
		}
		if code, err := do(req); code != c.status || err != nil {
			t.Errorf("%s %s: %d, %v, want %d", c.kind, c.encoding, code, err, c.status)
		}
	}
	exports, err := s.WaitExports(ctx, 2)
	if err != nil || len(exports) != 2 || !exports[0].Gzip || exports[1].Gzip || exports[0].Process != "web.1" {
		t.Errorf("got %+v, %v", exports, err)
	}
	if n := len(s.Rejected()); n != 4 || len(s.Reports()) != 0 {
		t.Errorf("%d rejected, %d reports", n, len(s.Reports()))
	}
	if want := "web.1 |web.1 |web.1 Content-Type \"application/json\", "; len(told) != 6 || !strings.HasPrefix(strings.Join(told, "|"), want) {
		t.Errorf("told of %q, want %q...", told, want)
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := s.WaitExports(canceled, 3); err == nil {
		t.Error("three exports came")
	}
}

// Deltas add up to totals, and begin where those before them ended.
func TestTakesDeltas(t *testing.T) {
	s := start(t, Options{})
	post := func(start, now, cycles uint64) int {
		times := join(pb(2, start), pb(3, now))
		histogram := join(pb(4, cycles), pb(5, 0.5), pb(6, numbers(0, cycles)), pb(7, numbers(math.Float64bits(0.1))))
		body := request(resourceOK, scopeOK,
			pb(2, join(pb(1, "go.memory.gc.cycles"), pb(2, "what"), pb(3, "{gc_cycle}"), pb(7, join(pb(1, join(times, pb(6, cycles))), pb(2, 1), pb(3, 1))))),
			pb(2, join(pb(1, "go.schedule.duration"), pb(2, "what"), pb(3, "s"), pb(9, join(pb(1, join(times, histogram)), pb(2, 1))))))
		req, err := http.NewRequestWithContext(within(t, 10*time.Second), "POST", s.OTLPURL("web.1"), bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-protobuf")
		code, err := do(req)
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	for i, c := range []struct {
		start, now, cycles uint64
		code               int
	}{
		{1e18, 2e18, 3, 200},
		{15e17, 3e18, 4, 400}, // overlaps
		{25e17, 3e18, 4, 400}, // leaves a gap
		{2e18, 3e18, 4, 200},
	} {
		if code := post(c.start, c.now, c.cycles); code != c.code {
			t.Errorf("%d: %d, want %d", i, code, c.code)
		}
	}
	e := s.Exports()[1]
	if h := e.Histograms["go.schedule.duration"]; e.Values["go.memory.gc.cycles"] != 7 || h.Count != 7 || h.Sum != 1 || h.Counts[1] != 7 || len(e.Deltas) != 2 {
		t.Errorf("got %+v", e)
	}
}

func FuzzParseExport(f *testing.F) {
	f.Add(goodExport)
	f.Fuzz(func(t *testing.T, document []byte) { ParseExport(document) })
}
