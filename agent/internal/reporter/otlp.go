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

// started is when the counts of this process were 0, as nearly as can be known.
var started = time.Now()

// otlpFormat is the format of OpenTelemetry's protocol, protobuf over HTTP: the
// metrics of the Go runtime conventions, cumulative since the process started. See
// https://opentelemetry.io/docs/specs/semconv/runtime/go-metrics/.
type otlpFormat struct {
	requests http.Header
	resource []byte // the encoded fields of Resource
	gzip     bool   // whether documents have that format

	read [len(instruments)]metrics.Sample
}

// The kinds of instruments: the number of the field of a Metric that their points are in,
// and what that says of them, that they are cumulative and, if so, that they only grow.
const upDown, growing, histogram = "\x07\x10\x02", "\x07\x10\x02\x18\x01", "\x09\x10\x02"

// instruments are the metrics that are sent, each with the metric of package
// runtime/metrics that it is made of. Those of one name follow each other: they
// are points of one metric, told apart by an attribute.
var instruments = [...]struct {
	name, unit, kind, key, value, source string // key and value are the attribute
}{
	{"go.memory.used", "By", upDown, "go.memory.type", "stack", "/memory/classes/heap/stacks:bytes"},
	{"go.memory.used", "By", upDown, "go.memory.type", "other", "/memory/classes/total:bytes"}, // less the one before and the one after
	{"", "", upDown, "", "", "/memory/classes/heap/released:bytes"},
	{"go.memory.limit", "By", upDown, "", "", "/gc/gomemlimit:bytes"},
	{"go.memory.allocated", "By", growing, "", "", "/gc/heap/allocs:bytes"},
	{"go.memory.allocations", "{allocation}", growing, "", "", "/gc/heap/allocs:objects"},
	{"go.memory.gc.goal", "By", upDown, "", "", "/gc/heap/goal:bytes"},
	{"go.memory.gc.cycles", "{gc_cycle}", growing, "", "", "/gc/cycles/total:gc-cycles"},
	{"go.memory.gc.pause.duration", "s", histogram, "", "", "/sched/pauses/total/gc:seconds"},
	{"go.goroutine.count", "{goroutine}", upDown, "", "", "/sched/goroutines:goroutines"},
	{"go.processor.limit", "{thread}", upDown, "", "", "/sched/gomaxprocs:threads"},
	{"go.config.gogc", "%", upDown, "", "", "/gc/gogc:percent"},
	{"go.schedule.duration", "s", histogram, "", "", "/sched/latencies:seconds"},
	{"go.cpu.time", "s", growing, "go.cpu.state", "user", "/cpu/classes/user:cpu-seconds"},
	{"go.cpu.time", "s", growing, "go.cpu.state", "gc", "/cpu/classes/gc/total:cpu-seconds"},
	{"go.cpu.time", "s", growing, "go.cpu.state", "scavenge", "/cpu/classes/scavenge/total:cpu-seconds"},
	{"go.cpu.time", "s", growing, "go.cpu.state", "idle", "/cpu/classes/idle:cpu-seconds"},
}

const total = 1 // its index

func (o *otlpFormat) header() http.Header { return o.requests }

// retry is as the protocol has it.
func (o *otlpFormat) retry(status int) bool {
	return status == http.StatusTooManyRequests || status >= http.StatusBadGateway && status <= http.StatusGatewayTimeout
}

// delivered returns an error if the answer tells of points that were rejected. To
// send those again would not help. Why is in the endpoint's words, which are not shown.
func (o *otlpFormat) delivered(answer []byte) error {
	_, partial := find(answer, 1) // of ExportMetricsServiceResponse
	rejected, _ := find(partial, 1)
	_, why := find(partial, 2)
	if rejected == 0 && len(why) == 0 {
		return nil
	}
	return fmt.Errorf("the endpoint rejected %d data points; its own log says why", rejected)
}

// document returns an ExportMetricsServiceRequest.
func (o *otlpFormat) document() ([]byte, error) {
	for i := range instruments {
		o.read[i].Name = instruments[i].source
	}
	metrics.Read(o.read[:])
	now := uint64(time.Now().UnixNano())
	e := make(encoder, 0, 4<<9+len(o.resource)) // more than it takes
	e.message(1, func() {                       // ResourceMetrics
		e.message(1, func() { e = append(e, o.resource...) })
		e.message(2, func() { // ScopeMetrics
			e.message(1, func() { e.text(1, module); e.text(2, version) }) // InstrumentationScope
			for i := range instruments {
				o.metric(&e, i, now)
			}
		})
	})
	if o.gzip {
		return stored(e), nil
	}
	return e, nil
}

// metric appends the Metric whose first point is the instrument of that index, if it
// is one's first and this release of Go has it, unless it is a limit that is none.
func (o *otlpFormat) metric(e *encoder, first int, now uint64) {
	in, v := instruments[first], o.read[first].Value
	if in.name == "" || first > 0 && in.name == instruments[first-1].name || v.Kind() == metrics.KindBad || v.Kind() == metrics.KindUint64 && v.Uint64() >= math.MaxInt64 {
		return
	}
	e.message(2, func() {
		e.text(1, in.name)
		e.text(3, in.unit)
		e.message(int(in.kind[0]), func() {
			*e = append(*e, in.kind[1:]...)
			for i := first; i < len(instruments) && instruments[i].name == in.name; i++ {
				e.message(1, func() { o.point(e, i, now) })
			}
		})
	})
}

// point appends the fields of a NumberDataPoint or HistogramDataPoint.
func (o *otlpFormat) point(e *encoder, i int, now uint64) {
	e.fixed64(2, uint64(started.UnixNano()))
	e.fixed64(3, now)
	switch v := o.read[i].Value; v.Kind() {
	case metrics.KindUint64:
		n := v.Uint64()
		if i == total {
			n -= o.read[total-1].Value.Uint64() + o.read[total+1].Value.Uint64()
		}
		e.fixed64(6, n)
	case metrics.KindFloat64:
		e.fixed64(4, math.Float64bits(v.Float64()))
	case metrics.KindFloat64Histogram:
		counts, count, sum := coarse(v.Float64Histogram())
		e.fixed64(4, count)
		e.fixed64(5, math.Float64bits(sum))
		e.message(6, func() { e.packed(counts[:]...) })
		e.message(7, func() {
			for _, b := range bounds {
				e.packed(math.Float64bits(b))
			}
		})
	}
	if in := instruments[i]; in.key != "" {
		e.attribute(7, in.key, in.value)
	}
}

// attribute appends a KeyValue.
func (e *encoder) attribute(field int, key, value string) {
	e.message(field, func() { e.text(1, key); e.message(2, func() { e.text(1, value) }) })
}

// bounds are those of histograms, in seconds: powers of two of nanoseconds, as there
// are among the runtime's own in every release, so that none of its buckets lies
// across one.
var bounds = [...]float64{1 << 10 / 1e9, 1 << 12 / 1e9, 1 << 14 / 1e9, 1 << 16 / 1e9, 1 << 18 / 1e9, 1 << 20 / 1e9, 1 << 22 / 1e9, 1 << 24 / 1e9, 1 << 26 / 1e9, 1 << 28 / 1e9, 1 << 30 / 1e9}

// coarse returns how many of h are up to each of the bounds, and above the last, and
// an estimate of the sum, which takes each value for the middle of its bucket. The
// runtime has up to 720 buckets.
func coarse(h *metrics.Float64Histogram) (counts [len(bounds) + 1]uint64, count uint64, sum float64) {
	for i, n := range h.Counts {
		low, high := math.Max(h.Buckets[i], 0), h.Buckets[i+1]
		counts[sort.SearchFloat64s(bounds[:], high)] += n
		if math.IsInf(high, 1) {
			high = low
		}
		count += n
		sum += float64(n) * (low + high) / 2
	}
	return counts, count, sum
}

// stored returns b in the format of gzip (RFC 1952), for receivers that ask for
// it, as blocks that are stored, not compressed (RFC 1951): at 2 KB a minute that
// is not worth the 48 KB by which a compressor would have every program grow.
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
