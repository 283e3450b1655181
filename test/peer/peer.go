// Package peer holds the agent beside github.com/heroku/x/hmetrics: what one
// sample costs, what it says and whether it stops the world. It is a module of
// its own to keep heroku/x out of the agent's.
package peer

import (
	"context"
	"io"
	"net/http"
	"runtime/debug"
	"runtime/metrics"
	_ "unsafe" // for linkname: what is compared is exported by neither side

	_ "github.com/heroku/x/hmetrics"
	_ "github.com/hmetrics/heroku-buildpack-go-metrics/agent"
)

// theirSample takes a sample and writes its document to w.
//
//go:linkname theirSample github.com/heroku/x/hmetrics.gatherMetrics
func theirSample(w io.Writer, prevPauseTotalNS uint64, prevNumGC uint32) (uint64, uint32, error)

//go:linkname theirPost github.com/heroku/x/hmetrics.submitMetrics
func theirPost(ctx context.Context, client *http.Client, r io.Reader, endpoint string) error

// as the agent's types of the same names pass them.
//
//lint:file-ignore U1000 These fields are only there to be passed in registers
type (
	totals struct {
		collections uint32
		pauseNS     uint64
	}
	sample struct {
		totals
		gauges     [4]uint64
		goroutines uint64
	}
	sampler struct {
		read [4]metrics.Sample
		gc   debug.GCStats
	}
)

//go:linkname takeSample github.com/hmetrics/heroku-buildpack-go-metrics/agent/internal/reporter.(*sampler).sample
func takeSample(*sampler) (sample, error)

//go:linkname appendDocument github.com/hmetrics/heroku-buildpack-go-metrics/agent/internal/reporter.appendDocument
func appendDocument(buf []byte, s sample, acked totals) []byte
