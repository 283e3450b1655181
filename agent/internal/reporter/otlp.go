package reporter

import (
	"fmt"
	"hash/crc32"
	"math"
	"net/http"
	"runtime/metrics"
	"sort"
	"time"
)

// started is, as nearly as the agent can know, when the counts of this process were 0.
var started = time.Now()

// otlpFormat is the format of OpenTelemetry's protocol, protobuf over HTTP. Counters and
// histograms hold what was added since the start of the process or, if delta says so for
// their kind, since the last acknowledged export.
type otlpFormat struct {
	requests http.Header
	resource []byte // the encoded fields of Resource
	gzip     bool   // whether documents have the format of gzip
	delta    [kinds]bool

	certificates certificates
	log          func(lines ...string)
	warned       bool // whether the last acknowledgement had a warning

	instruments []instrument
	acked, sent uint64 // when the acknowledged and the sent values were read, in ns since 1970
}

// A value is an integer, a number of seconds, or a histogram with the sum of its values in
// seconds.
type value struct {
	count   uint64
	seconds float64
	buckets [len(bounds) + 1]uint64
}

func newOTLPFormat(instruments []instrument) *otlpFormat {
	return &otlpFormat{instruments: instruments, acked: uint64(started.UnixNano())}
}

func (f *otlpFormat) header() http.Header { return f.requests }

// retry follows the protocol.
func (f *otlpFormat) retry(status int) bool {
	return status == http.StatusTooManyRequests || status >= http.StatusBadGateway && status <= http.StatusGatewayTimeout
}

// delivered returns an error if the endpoint rejected points. Sending them again would not
// help. The answer has the reason, but text from the network is not shown.
func (f *otlpFormat) delivered(answer []byte) error {
	f.acked = f.sent
	for _, in := range f.instruments {
		for i := range in.series {
			in.series[i].acked = in.series[i].sent
		}
	}
	_, partial := find(answer, 1) // of ExportMetricsServiceResponse
	rejected, _ := find(partial, 1)
	_, why := find(partial, 2)
	if rejected > 0 {
		return fmt.Errorf("the endpoint rejected %d data points; its own log says why", rejected)
	}
	if len(why) > 0 && !f.warned {
		f.log("warning: the endpoint accepted all data points with a warning; its own log has it")
	}
	f.warned = len(why) > 0
	return nil
}

// document returns an ExportMetricsServiceRequest.
func (f *otlpFormat) document() ([]byte, error) {
	if err := f.certificates.load(f.log); err != nil {
		return nil, err
	}
	if f.sent = uint64(time.Now().UnixNano()); f.sent < f.acked {
		f.sent = f.acked // the wall clock was set back
	}
	e := make(encoder, 0, 3<<10+len(f.resource)) // more than it takes
	e.message(1, func() {                        // ResourceMetrics
		e.message(1, func() { e = append(e, f.resource...) })
		e.message(2, func() { // ScopeMetrics
			e.message(1, func() { e.text(1, module); e.text(2, version) }) // InstrumentationScope
			for _, in := range f.instruments {
				f.metric(&e, in)
			}
		})
	})
	if f.gzip {
		return stored(e), nil
	}
	return e, nil
}

// Numbers of the fields of a Metric that hold its points, and of the values of
// AggregationTemporality.
const (
	sumData, histogramData = 7, 9
	delta, cumulative      = 1, 2
)

// metric appends a Metric, if each of its points has a value.
func (f *otlpFormat) metric(e *encoder, in instrument) {
	for i := range in.series {
		if !in.series[i].take(in.kind) {
			return
		}
	}
	data, temporality, start := sumData, cumulative, uint64(started.UnixNano())
	if in.kind == histogram {
		data = histogramData
	}
	if f.delta[in.kind] {
		temporality, start = delta, f.acked
	}
	e.message(2, func() {
		e.text(1, in.name)
		e.text(2, in.description)
		e.text(3, in.unit)
		e.message(data, func() {
			for i := range in.series {
				e.message(1, func() {
					e.fixed64(2, start)
					e.fixed64(3, f.sent)
					in.series[i].encode(e, temporality == delta)
				})
			}
			e.varint(2, uint64(temporality))
			if in.kind == counter {
				e.varint(3, 1) // is_monotonic
			}
		})
	})
}

// take reads the value to send. It returns false if this Go release lacks one of the
// sources, or if a limit is not set.
func (s *series) take(k kind) bool {
	metrics.Read(s.read)
	var v value
	for i, source := range s.read {
		switch read := source.Value; read.Kind() {
		case metrics.KindUint64:
			if i > 0 {
				v.count -= read.Uint64()
			} else {
				v.count = read.Uint64()
			}
		case metrics.KindFloat64:
			v.seconds = read.Float64()
		case metrics.KindFloat64Histogram:
			v = withinBounds(read.Float64Histogram())
		default:
			return false
		}
	}
	if k == counter && (v.count < s.acked.count || v.seconds < s.acked.seconds) {
		v = s.acked // the runtime's estimates can go down
	}
	s.sent = v
	return v.count < math.MaxInt64
}

// encode appends the fields of this series in a NumberDataPoint or HistogramDataPoint: its
// value or, for delta, what was added since the last acknowledged value.
func (s *series) encode(e *encoder, delta bool) {
	v, before := &s.sent, &value{}
	if delta {
		before = &s.acked
	}
	switch s.read[0].Value.Kind() {
	case metrics.KindUint64:
		e.fixed64(6, v.count-before.count)
	case metrics.KindFloat64:
		e.fixed64(4, math.Float64bits(v.seconds-before.seconds))
	case metrics.KindFloat64Histogram:
		e.fixed64(4, v.count-before.count)
		e.fixed64(5, math.Float64bits(v.seconds-before.seconds))
		e.message(6, func() {
			for i, n := range v.buckets {
				e.packed(n - before.buckets[i])
			}
		})
		e.message(7, func() {
			for _, b := range bounds {
				e.packed(math.Float64bits(b))
			}
		})
	}
	if s.attribute != "" {
		e.attribute(7, s.attribute, s.value)
	}
}

// attribute appends a KeyValue.
func (e *encoder) attribute(field int, key, value string) {
	e.message(field, func() { e.text(1, key); e.message(2, func() { e.text(1, value) }) })
}

// bounds are the bounds of histograms, in seconds. They are powers of two of nanoseconds,
// which are among the runtime's own bounds in every release, so no bucket of the runtime's
// spans one of them.
var bounds = [...]float64{1 << 10 / 1e9, 1 << 12 / 1e9, 1 << 14 / 1e9, 1 << 16 / 1e9, 1 << 18 / 1e9, 1 << 20 / 1e9, 1 << 22 / 1e9, 1 << 24 / 1e9, 1 << 26 / 1e9, 1 << 28 / 1e9, 1 << 30 / 1e9}

// withinBounds converts a histogram of the runtime, which has up to 720 buckets, to bounds.
// The sum is an estimate: it takes each value to be in the middle of its bucket.
func withinBounds(h *metrics.Float64Histogram) (v value) {
	for i, n := range h.Counts {
		low, high := math.Max(h.Buckets[i], 0), h.Buckets[i+1]
		v.buckets[sort.SearchFloat64s(bounds[:], high)] += n
		if math.IsInf(high, 1) {
			high = low
		}
		v.count += n
		v.seconds += float64(n) * (low + high) / 2
	}
	return v
}

// stored returns b in the format of gzip (RFC 1952), for receivers that ask for it. Its
// blocks are stored, not compressed (RFC 1951): for 2 KB a minute, a compressor is not worth
// the 48 KB that it would add to every program.
func stored(b []byte) []byte {
	z := append(make(encoder, 0, len(b)+len(b)>>12+32), 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff)
	for i := 0; i < len(b); i += math.MaxUint16 {
		block, last := b[i:], byte(1)
		if len(block) > math.MaxUint16 {
			block, last = block[:math.MaxUint16], 0
		}
		n := len(block)
		z = append(append(z, last, byte(n), byte(n>>8), ^byte(n), ^byte(n>>8)), block...)
	}
	z.packed(uint64(crc32.ChecksumIEEE(b)) | uint64(len(b))<<32)
	return z
}
