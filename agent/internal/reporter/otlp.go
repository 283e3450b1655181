package reporter

import (
	"fmt"
	"hash/crc32"
	"math"
	"net/http"
	"runtime/metrics"
	"time"
)

// started is when the counts of this process were 0, as nearly as can be known.
var started = time.Now()

// otlpFormat is the format of OpenTelemetry's protocol, protobuf over HTTP: the
// metrics of the Go runtime conventions, cumulative since the process started. See
// https://opentelemetry.io/docs/specs/semconv/runtime/go-metrics/.
type otlpFormat struct {
	requests http.Header
	resource []byte // the encoded field of ResourceMetrics
	gzip     bool   // whether documents have that format

	read [len(instruments)]metrics.Sample
}

// instruments are the metrics that are sent, each with the metric of package
// runtime/metrics that it is made of. Those of one name follow each other: they
// are points of one metric, told apart by an attribute.
var instruments = [...]struct {
	name, unit string
	monotonic  bool
	key, value string // the attribute
	source     string
}{
	{"go.memory.used", "By", false, "go.memory.type", "stack", "/memory/classes/heap/stacks:bytes"},
	{"go.memory.used", "By", false, "go.memory.type", "other", "/memory/classes/total:bytes"}, // less the one before and the one after
	{"", "", false, "", "", "/memory/classes/heap/released:bytes"},
	{"go.memory.limit", "By", false, "", "", "/gc/gomemlimit:bytes"},
	{"go.memory.allocated", "By", true, "", "", "/gc/heap/allocs:bytes"},
	{"go.memory.allocations", "{allocation}", true, "", "", "/gc/heap/allocs:objects"},
	{"go.memory.gc.goal", "By", false, "", "", "/gc/heap/goal:bytes"},
	{"go.memory.gc.cycles", "{gc_cycle}", true, "", "", "/gc/cycles/total:gc-cycles"},
	{"go.memory.gc.pause.duration", "s", true, "", "", "/sched/pauses/total/gc:seconds"},
	{"go.goroutine.count", "{goroutine}", false, "", "", "/sched/goroutines:goroutines"},
	{"go.processor.limit", "{thread}", false, "", "", "/sched/gomaxprocs:threads"},
	{"go.config.gogc", "%", false, "", "", "/gc/gogc:percent"},
	{"go.schedule.duration", "s", true, "", "", "/sched/latencies:seconds"},
	{"go.cpu.time", "s", true, "go.cpu.state", "user", "/cpu/classes/user:cpu-seconds"},
	{"go.cpu.time", "s", true, "go.cpu.state", "gc", "/cpu/classes/gc/total:cpu-seconds"},
	{"go.cpu.time", "s", true, "go.cpu.state", "scavenge", "/cpu/classes/scavenge/total:cpu-seconds"},
	{"go.cpu.time", "s", true, "go.cpu.state", "idle", "/cpu/classes/idle:cpu-seconds"},
}

const total = 1 // its index

func (o *otlpFormat) header() http.Header { return o.requests }

// retry is as the protocol has it.
func (o *otlpFormat) retry(status int) bool {
	return status == http.StatusTooManyRequests || status >= http.StatusBadGateway && status <= http.StatusGatewayTimeout
}

// delivered returns an error if the answer tells of points that were rejected. To
// send those again would not help.
func (o *otlpFormat) delivered(answer []byte) error {
	_, partial := find(answer, 1) // of ExportMetricsServiceResponse
	rejected, _ := find(partial, 1)
	_, why := find(partial, 2)
	if rejected == 0 && len(why) == 0 {
		return nil
	}
	return fmt.Errorf("the endpoint rejected %d data points: %.200q", rejected, why)
}

// document returns an ExportMetricsServiceRequest.
func (o *otlpFormat) document() ([]byte, error) {
	for i := range instruments {
		o.read[i].Name = instruments[i].source
	}
	metrics.Read(o.read[:])
	now := uint64(time.Now().UnixNano())
	all := [][]byte{message(1, text(1, module), text(2, version))} // InstrumentationScope
	for first, next := 0, 0; first < len(instruments); first = next {
		for next < len(instruments) && instruments[next].name == instruments[first].name {
			next++
		}
		all = append(all, o.metric(first, next, now))
	}
	document := message(1, o.resource, message(2, all...)) // ResourceMetrics, of ScopeMetrics
	if o.gzip {
		return stored(document), nil
	}
	return document, nil
}

// metric returns the Metric whose points are the instruments from first up to
// next, or nothing if this release of Go does not have it, or it is a limit that
// is none.
func (o *otlpFormat) metric(first, next int, now uint64) []byte {
	in, v := instruments[first], o.read[first].Value
	if in.name == "" || v.Kind() == metrics.KindBad || v.Kind() == metrics.KindUint64 && v.Uint64() >= math.MaxInt64 {
		return nil
	}
	data, parts := 7, [][]byte{varint(2, 2)} // Sum, AGGREGATION_TEMPORALITY_CUMULATIVE
	if v.Kind() == metrics.KindFloat64Histogram {
		data = 9
	} else if in.monotonic {
		parts = append(parts, varint(3, 1))
	}
	for i := first; i < next; i++ {
		parts = append(parts, message(1, o.point(i, now)...))
	}
	return message(2, text(1, in.name), text(3, in.unit), message(data, parts...))
}

// point returns the fields of a NumberDataPoint or HistogramDataPoint.
func (o *otlpFormat) point(i int, now uint64) [][]byte {
	fields := [][]byte{fixed64(2, uint64(started.UnixNano())), fixed64(3, now)}
	switch v := o.read[i].Value; v.Kind() {
	case metrics.KindUint64:
		n := v.Uint64()
		if i == total {
			n -= o.read[total-1].Value.Uint64() + o.read[total+1].Value.Uint64()
		}
		fields = append(fields, fixed64(6, n))
	case metrics.KindFloat64:
		fields = append(fields, fixed64(4, math.Float64bits(v.Float64())))
	case metrics.KindFloat64Histogram:
		counts, bounds, count, sum := coarse(v.Float64Histogram())
		fields = append(fields, fixed64(4, count), fixed64(5, math.Float64bits(sum)), message(6, packed(counts...)), message(7, packed(bounds...)))
	}
	if in := instruments[i]; in.key != "" {
		fields = append(fields, attribute(7, in.key, in.value))
	}
	return fields
}

// attribute returns a KeyValue.
func attribute(field int, key, value string) []byte {
	return message(field, text(1, key), message(2, text(1, value)))
}

// coarse returns how many of h are up to each of the bounds, which are the bits of
// seconds, and above the last, and an estimate of the sum, which takes each value
// for the middle of its bucket. The runtime has up to 720 buckets. The bounds are
// powers of two of nanoseconds, as there are among the runtime's own in every
// release: none of its buckets lies across one.
func coarse(h *metrics.Float64Histogram) (counts, bounds []uint64, count uint64, sum float64) {
	counts = []uint64{0}
	next := uint64(1 << 10)
	for i, n := range h.Counts {
		low, high := math.Max(h.Buckets[i], 0), h.Buckets[i+1]
		for ; next <= 1<<30 && high > float64(next)/1e9; next <<= 2 {
			bounds = append(bounds, math.Float64bits(float64(next)/1e9))
			counts = append(counts, 0)
		}
		if math.IsInf(high, 1) {
			high = low
		}
		counts[len(counts)-1] += n
		count += n
		sum += float64(n) * (low + high) / 2
	}
	return counts, bounds, count, sum
}

// stored returns b in the format of gzip (RFC 1952), for receivers that ask for
// it, as blocks that are stored, not compressed (RFC 1951): at 2 KB a minute that
// is not worth the 48 KB by which a compressor would have every program grow.
func stored(b []byte) []byte {
	z := []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff}
	for i := 0; i < len(b); i += math.MaxUint16 {
		block, last := b[i:], byte(1)
		if len(block) > math.MaxUint16 {
			block, last = block[:math.MaxUint16], 0
		}
		n := len(block)
		z = append(append(z, last, byte(n), byte(n>>8), ^byte(n), ^byte(n>>8)), block...)
	}
	return append(z, packed(uint64(crc32.ChecksumIEEE(b))|uint64(len(b))<<32)...)
}
