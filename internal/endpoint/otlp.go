package endpoint

import (
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// otlpPath follows the path that URL returned, as it follows OTEL_EXPORTER_OTLP_ENDPOINT in
// OpenTelemetry.
const otlpPath = "/v1/metrics"

// An Export is one request by OTLP: metrics of a Go runtime that follow OpenTelemetry's
// conventions.
type Export struct {
	Process  string
	Received time.Time
	Gzip     bool   // whether it was compressed
	Body     []byte // the document, an ExportMetricsServiceRequest
	Refused  string // why it was refused, for OnExport only; empty if it was not

	Resource             map[string]string
	ScopeName, ScopeVers string
	Start, Time          time.Time // of every cumulative point; Time of all other points too
	// Values are the values of counters, by the name of the metric or, if it has an
	// attribute, by name{value of the attribute}. Once the server has accepted the
	// export, deltas are converted to totals.
	Values     map[string]float64
	Histograms map[string]Histogram
	// Deltas are the names in Values and Histograms of points that were sent as what was
	// added since Since.
	Deltas []string
	Since  time.Time
}

// A Histogram has one more count than bounds.
type Histogram struct {
	Count  uint64
	Sum    float64 // seconds
	Bounds []float64
	Counts []uint64
}

// exports are the exports that a Server received by OTLP.
type exports struct {
	mu       sync.Mutex
	kept     []Export
	accepted tally
	last     map[string]Export // with deltas, by service.instance.id, with totals
}

// continues returns an error unless the deltas of e begin where the accepted ones end. They
// may also begin where those began, if their acknowledgement was lost.
func (x *exports) continues(e Export) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	begins := []time.Time{e.Start} // of the process
	if last, ok := x.last[e.Resource["service.instance.id"]]; ok {
		begins = []time.Time{last.Time, last.Since}
	}
	for _, begin := range begins {
		if len(e.Deltas) == 0 || begin.IsZero() || e.Since.Equal(begin) {
			return nil
		}
	}
	return fmt.Errorf("deltas begin at %v, not at %v", e.Since, begins[0])
}

// total converts the deltas of e to totals.
func (x *exports) total(e Export) {
	if len(e.Deltas) == 0 {
		return
	}
	id := e.Resource["service.instance.id"]
	for _, name := range e.Deltas {
		before := x.last[id].Histograms[name]
		h, histogram := e.Histograms[name]
		if !histogram {
			e.Values[name] += x.last[id].Values[name]
			continue
		}
		h.Count, h.Sum = h.Count+before.Count, h.Sum+before.Sum
		for i, n := range before.Counts {
			h.Counts[i] += n
		}
		e.Histograms[name] = h
	}
	if x.last == nil {
		x.last = map[string]Export{}
	}
	x.last[id] = e
}

// OTLPURL returns the OTEL_EXPORTER_OTLP_METRICS_ENDPOINT for the named process. For
// OTEL_EXPORTER_OTLP_ENDPOINT, use what URL returns.
func (s *Server) OTLPURL(name string) string { return s.URL(name) + otlpPath }

// Exports returns the accepted exports that the server still keeps, oldest first.
func (s *Server) Exports() []Export {
	s.exports.mu.Lock()
	defer s.exports.mu.Unlock()
	return append([]Export(nil), s.exports.kept...)
}

// WaitExports returns the kept exports as soon as n exports were accepted since the start.
// If ctx is done or the server closed first, it returns the kept exports and an error.
func (s *Server) WaitExports(ctx context.Context, n int) ([]Export, error) {
	err := s.wait(ctx, &s.exports.accepted, n, "exports")
	return s.Exports(), err
}

// OnExport calls f with every export that is accepted or refused from now on. A refused
// export has only Process, Received and Refused. f is called like the function of OnReport.
// The returned function ends the subscription.
func (s *Server) OnExport(f func(Export)) (stop func()) {
	return s.listen(listener{export: f})
}

// serveOTLP serves a request for a process's path with otlpPath after it.
func (s *Server) serveOTLP(w http.ResponseWriter, r *http.Request) {
	name, fault, known := s.decide(strings.TrimSuffix(r.URL.Path, otlpPath), r.Header)
	if !known {
		s.reject(w, name, http.StatusNotFound, "no process was given this path")
		return
	}
	if fault.Unread && fault.Serve != nil {
		fault.Serve(w, r)
		return
	}
	e, status, err := s.readExport(r)
	if err == nil {
		err, status = s.exports.continues(e), http.StatusBadRequest
	}
	e.Process = name
	if err != nil {
		e.Received, e.Refused = s.opts.Now(), reason(err)
		s.takeExport(e)
		s.reject(w, name, status, e.Refused)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf") // of the empty ExportMetricsServiceResponse
	aw := &answer{ResponseWriter: w, accept: func() { s.takeExport(e) }}
	if fault.Serve != nil {
		fault.Serve(aw, r)
	}
	aw.WriteHeader(http.StatusOK)
}

// takeExport stores an export if it was accepted, and notifies the listeners.
func (s *Server) takeExport(e Export) {
	s.order.Lock()
	defer s.order.Unlock()
	if x := &s.exports; e.Refused == "" {
		x.mu.Lock()
		x.total(e)
		x.kept = append(x.kept, e)
		if extra := len(x.kept) - s.opts.Keep; extra > 0 {
			x.kept = append(x.kept[:0], x.kept[extra:]...)
		}
		x.accepted.add()
		x.mu.Unlock()
	}
	s.notify(func(l listener) {
		if l.export != nil {
			l.export(e)
		}
	})
}

// PartialSuccess answers 200 and says that a number of data points were rejected, for the
// given reason. The export is accepted.
func PartialSuccess(rejected uint64, reason string) Fault {
	return Fault{Name: "partial success", Serve: func(w http.ResponseWriter, _ *http.Request) {
		var n [binary.MaxVarintLen64]byte
		partial := append([]byte{1 << 3}, n[:binary.PutUvarint(n[:], rejected)]...)
		partial = append(append(partial, 2<<3|2, byte(len(reason))), reason...)
		w.Write(append([]byte{1<<3 | 2, byte(len(partial))}, partial...))
	}}
}

// readExport reads the export in a request, or returns the status to refuse it with.
func (s *Server) readExport(r *http.Request) (Export, int, error) {
	if r.Method != http.MethodPost {
		return Export{}, http.StatusMethodNotAllowed, fmt.Errorf("method %s, not POST", r.Method)
	}
	if ct := r.Header.Values("Content-Type"); len(ct) != 1 || ct[0] != "application/x-protobuf" {
		return Export{}, http.StatusUnsupportedMediaType, fmt.Errorf("Content-Type %q, not application/x-protobuf", strings.Join(ct, ", "))
	}
	body := io.Reader(r.Body)
	compressed := false
	switch encoding := r.Header.Values("Content-Encoding"); {
	case len(encoding) == 0:
	case len(encoding) == 1 && encoding[0] == "gzip":
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return Export{}, http.StatusBadRequest, fmt.Errorf("reading the body: %w", err)
		}
		body, compressed = z, true
	default:
		return Export{}, http.StatusUnsupportedMediaType, fmt.Errorf("Content-Encoding %q, not gzip", strings.Join(encoding, ", "))
	}
	document, err := io.ReadAll(io.LimitReader(body, maxBody+1))
	if err != nil {
		return Export{}, http.StatusBadRequest, fmt.Errorf("reading the body: %w", err)
	}
	if len(document) > maxBody {
		return Export{}, http.StatusRequestEntityTooLarge, fmt.Errorf("the body has more than %d bytes", maxBody)
	}
	e, err := ParseExport(document)
	if err != nil {
		return Export{}, http.StatusBadRequest, err
	}
	e.Gzip, e.Received = compressed, s.opts.Now()
	return e, 0, nil
}

// A convention describes a metric of OpenTelemetry's conventions.
type convention struct {
	unit      string
	histogram bool
	monotonic bool
	double    bool
	attribute string
	values    string // values of the attribute, each between commas
}

var conventions = map[string]convention{
	"go.memory.used":              {unit: "By", attribute: "go.memory.type", values: ",stack,other,"},
	"go.memory.limit":             {unit: "By"},
	"go.memory.allocated":         {unit: "By", monotonic: true},
	"go.memory.allocations":       {unit: "{allocation}", monotonic: true},
	"go.memory.gc.goal":           {unit: "By"},
	"go.memory.gc.cycles":         {unit: "{gc_cycle}", monotonic: true},
	"go.memory.gc.pause.duration": {unit: "s", histogram: true},
	"go.goroutine.count":          {unit: "{goroutine}"},
	"go.processor.limit":          {unit: "{thread}"},
	"go.config.gogc":              {unit: "%"},
	"go.schedule.duration":        {unit: "s", histogram: true},
	"go.cpu.time":                 {unit: "s", monotonic: true, double: true, attribute: "go.cpu.state", values: ",user,gc,scavenge,idle,"},
}

// ParseExport parses an ExportMetricsServiceRequest. It must contain one resource with one
// scope, and metrics of a Go runtime that follow OpenTelemetry's conventions: each once, with
// the right unit, kind and temporality, and nothing else.
func ParseExport(document []byte) (e Export, err error) {
	defer func() {
		if p := recover(); p != nil {
			refused, ok := p.(refusal)
			if !ok {
				panic(p)
			}
			e, err = Export{}, refused
		}
	}()
	e = Export{Body: document, Resource: map[string]string{}, Values: map[string]float64{}, Histograms: map[string]Histogram{}}
	resource := message(document, "the request", "1m").one(1)
	r := message(resource.bytes, "ResourceMetrics", "1m 2m")
	for _, kv := range message(r.one(1).bytes, "Resource", "1m").fields[1] {
		key, value := attributeOf(kv)
		if _, twice := e.Resource[key]; twice {
			refuse("the resource has %s twice", key)
		}
		e.Resource[key] = value
	}
	for _, key := range []string{"service.name", "service.instance.id", "telemetry.sdk.language"} {
		if e.Resource[key] == "" {
			refuse("the resource lacks %s", key)
		}
	}
	scope := message(r.one(2).bytes, "ScopeMetrics", "1m 2m")
	s := message(scope.one(1).bytes, "InstrumentationScope", "1m 2m")
	e.ScopeName, e.ScopeVers = s.one(1).text(), s.one(2).text()
	if e.ScopeName == "" || e.ScopeVers == "" {
		refuse("the scope lacks a name or a version")
	}
	had := map[string]bool{}
	for _, f := range scope.fields[2] {
		m := message(f.bytes, "Metric", "1m 2m 3m 7m 9m")
		name := m.one(1).text()
		c, known := conventions[name]
		switch {
		case !known:
			refuse("no convention has a metric %q", name)
		case had[name]:
			refuse("metric %s is there twice", name)
		case m.one(2).text() == "":
			refuse("%s lacks a description", name)
		case m.one(3).text() != c.unit:
			refuse("%s has the unit %q, not %s", name, m.one(3).text(), c.unit)
		}
		had[name] = true
		if c.histogram {
			e.histogram(name, message(m.one(9).bytes, name, "1m 2v"))
		} else {
			e.sum(name, c, message(m.one(7).bytes, name, "1m 2v 3v"))
		}
	}
	if len(had) == 0 {
		refuse("there is no metric")
	}
	return e, nil
}

func (e *Export) sum(name string, c convention, data parsed) {
	delta := data.delta(c.monotonic)
	if monotonic := len(data.fields[3]) == 1 && data.one(3).number == 1; monotonic != c.monotonic {
		refuse("%s: monotonic is %v", name, monotonic)
	}
	for _, f := range data.fields[1] {
		p := message(f.bytes, name, "7m 2f 3f 4f 6f")
		e.times(p, delta)
		key := name
		if c.attribute != "" {
			attribute, value := attributeOf(p.one(7))
			if attribute != c.attribute || !strings.Contains(c.values, ","+value+",") {
				refuse("%s has the attribute %s=%s", name, attribute, value)
			}
			key += "{" + value + "}"
		} else if len(p.fields[7]) > 0 {
			refuse("%s has attributes", name)
		}
		if _, twice := e.Values[key]; twice {
			refuse("%s is there twice", key)
		}
		value := math.Float64frombits(p.one(4).number)
		if !c.double {
			value = float64(int64(p.one(6).number))
		}
		if doubles, ints := len(p.fields[4]), len(p.fields[6]); doubles+ints != 1 || (doubles == 1) != c.double || !(value >= 0) || math.IsInf(value, 0) {
			refuse("%s is %v", key, value)
		}
		e.Values[key] = value
		if delta {
			e.Deltas = append(e.Deltas, key)
		}
	}
	if n := strings.Count(c.values, ",") - 1; len(data.fields[1]) != n && n > 0 || n <= 0 && len(data.fields[1]) != 1 {
		refuse("%s has %d points", name, len(data.fields[1]))
	}
}

func (e *Export) histogram(name string, data parsed) {
	delta := data.delta(true)
	p := message(data.one(1).bytes, name, "2f 3f 4f 5f 6m 7m")
	e.times(p, delta)
	h := Histogram{Count: p.one(4).number, Sum: math.Float64frombits(p.one(5).number), Counts: packed(p.one(6).bytes)}
	total := uint64(0)
	for _, n := range h.Counts {
		total += n
	}
	for i, bits := range packed(p.one(7).bytes) {
		h.Bounds = append(h.Bounds, math.Float64frombits(bits))
		if i > 0 && !(h.Bounds[i] > h.Bounds[i-1]) {
			refuse("the bounds of %s do not grow: %v", name, h.Bounds)
		}
	}
	if len(h.Counts) != len(h.Bounds)+1 || total != h.Count || !(h.Sum >= 0) || math.IsInf(h.Sum, 0) {
		refuse("%s is %+v", name, h)
	}
	e.Histograms[name] = h
	if delta {
		e.Deltas = append(e.Deltas, name)
	}
}

// times reads the times of a point. All cumulative points share theirs, and so do all
// others.
func (e *Export) times(point parsed, delta bool) {
	start, now, common := time.Unix(0, int64(point.one(2).number)), time.Unix(0, int64(point.one(3).number)), &e.Start
	if delta {
		common = &e.Since
	}
	if start.Unix() <= 0 || now.Before(start) || !e.Time.IsZero() && !e.Time.Equal(now) || !common.IsZero() && !common.Equal(start) {
		refuse("a point is from %v to %v, another from %v to %v", start, now, *common, e.Time)
	}
	*common, e.Time = start, now
}

// A refusal says what is wrong with a document.
type refusal string

func (r refusal) Error() string { return string(r) }

func refuse(format string, args ...interface{}) { panic(refusal(fmt.Sprintf(format, args...))) }

// A field is a field of a message in the wire format of protobuf.
type field struct {
	number uint64 // value of a varint or of 64 bits
	bytes  []byte // value with a length
}

func (f field) text() string {
	if !utf8.Valid(f.bytes) {
		refuse("a string is not UTF-8: %q", f.bytes)
	}
	return string(f.bytes)
}

type parsed struct {
	name   string
	fields map[uint64][]field
}

// one returns the field with that number, which must not be repeated. If it is absent, one
// returns the zero field, as in protobuf.
func (m parsed) one(number uint64) field {
	switch fs := m.fields[number]; len(fs) {
	case 0:
		return field{}
	case 1:
		return fs[0]
	}
	refuse("%s has field %d %d times", m.name, number, len(m.fields[number]))
	return field{}
}

// delta reads AggregationTemporality: whether the points hold what was added. Points that
// can go down must not.
func (m parsed) delta(grows bool) bool {
	t := m.one(2).number
	if t != 2 && !(grows && t == 1) {
		refuse("%s has the aggregation temporality %d", m.name, t)
	}
	return t == 1
}

// message parses a message with the known fields, each given as its number and its type: m
// has a length, v is a varint, f has 64 bits.
func message(b []byte, name, known string) parsed {
	m := parsed{name, map[uint64][]field{}}
	varint := func() uint64 {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			refuse("%s is cut off", name)
		}
		b = b[size:]
		return n
	}
	for len(b) > 0 {
		tag := varint()
		number, kind, f := tag>>3, "?", field{}
		size := uint64(0)
		switch tag & 7 {
		case 0:
			kind, f.number = "v", varint()
		case 1:
			kind, size = "f", 8
		case 2:
			kind, size = "m", varint()
		}
		if !strings.Contains(" "+known+" ", fmt.Sprintf(" %d%s ", number, kind)) {
			refuse("%s has an unknown field %d of wire type %d", name, number, tag&7)
		}
		if size > uint64(len(b)) {
			refuse("%s is cut off", name)
		}
		f.bytes, b = b[:size], b[size:]
		if kind == "f" {
			f.number = binary.LittleEndian.Uint64(f.bytes)
		}
		m.fields[number] = append(m.fields[number], f)
	}
	return m
}

// attributeOf reads a KeyValue with a string value.
func attributeOf(f field) (key, value string) {
	kv := message(f.bytes, "KeyValue", "1m 2m")
	any := message(kv.one(2).bytes, "AnyValue", "1m")
	return kv.one(1).text(), any.one(1).text()
}

func packed(b []byte) (numbers []uint64) {
	if len(b)%8 != 0 {
		refuse("numbers of 64 bits have %d bytes", len(b))
	}
	for ; len(b) > 0; b = b[8:] {
		numbers = append(numbers, binary.LittleEndian.Uint64(b))
	}
	return numbers
}
