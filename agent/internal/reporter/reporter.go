// Package reporter is the machinery behind packages agent and onload: a loop
// that samples the runtime's metrics at a steady phase and delivers them.
//
//	Options -> schedule -> format -> delivery -> endpoint
//
// There are two destinations, which have nothing in common but this machinery:
// Heroku's metrics service and, by OTLP, an OpenTelemetry Collector. What is
// different between them is their format and where their settings come from.
//
// It is compiled by the toolchain of the app that it ends up in, so it keeps
// to the language and library of Go 1.18.
package reporter

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"runtime"
	"sync"
	"time"
)

// grace bounds what is done after reporting was canceled: the end of the
// attempt that is under way and one attempt to deliver what is pending.
const grace = 2 * time.Second

// Heroku is this process's Reporter to Heroku. It is global because reporting the
// counters of one process twice would double them.
var Heroku = Reporter{format: &heroku{}}

// ErrRunning is what Run returns while another run has not been canceled.
var ErrRunning = errors.New("another reporter is running")

// Options say what Run does. Endpoint and Config are required.
type Options struct {
	// Endpoint returns where to report to. It is asked when Run begins, and
	// again before the first report.
	Endpoint func() string
	Config   Config

	// Began is when the first interval began; the zero value: when Run does.
	Began time.Time
	// Off is why there is to be no report from here, or empty. Run does not
	// look at it.
	Off string
	// Problems are logged before the first report.
	Problems []string
	// Failed hears of every report that failed, one at a time. If it returns
	// an error, reporting ends. It may be nil.
	Failed func(error) error
	// Delivered hears of every report that was acknowledged. It may be nil.
	Delivered func()

	transport func(*transport) http.RoundTripper // nil: the transport itself
	edges     *edges                             // nil: the real ones
}

// edges are where a run meets the world.
type edges struct {
	transport http.RoundTripper
	random    func() float64 // in [0,1)
}

// A Reporter reports in at most one run at a time.
type Reporter struct {
	format format // used only by the run that reports

	mu   sync.Mutex
	ctx  context.Context // of that run
	over chan struct{}   // closed when it ends; nil while there is none
}

// A format is what a destination is sent. An implementation keeps, from one run
// to the next, what it has to know of what was delivered.
type format interface {
	// header is that of each request.
	header() http.Header
	// document returns what is to be sent now.
	document() ([]byte, error)
	// retry says whether the status of an answer calls for another attempt.
	retry(status int) bool
	// delivered is called when the last document was answered 2xx. An error
	// is reported, but the document stays delivered.
	delivered(answer []byte) error
}

// enter waits for the end of a run that was canceled, and refuses to wait for any
// other. Only if there is none it returns invalid, if that is an error. If ctx
// ends first, there is no function to leave with.
func (r *Reporter) enter(ctx context.Context, invalid error) (leave func(), _ error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.over != nil && r.ctx.Err() != nil && invalid == nil && ctx.Err() == nil {
		over := r.over
		r.mu.Unlock()
		select {
		case <-over:
		case <-ctx.Done():
		}
		r.mu.Lock()
	}
	switch {
	case r.over != nil && r.ctx.Err() == nil:
		return nil, ErrRunning
	case invalid != nil || ctx.Err() != nil:
		return nil, invalid
	}
	over := make(chan struct{})
	r.ctx, r.over = ctx, over
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.over = nil
		close(over)
	}, nil
}

// Run reports until ctx is canceled, then makes one last attempt to deliver
// what is pending, and returns nil within the grace period. It also returns nil
// when Failed returned an error. It returns an error if the endpoint will not
// do or another run is going on. A panic of Failed or Delivered is not
// contained.
func (r *Reporter) Run(ctx context.Context, o Options) error {
	endpoint, err := parseEndpoint(o.Endpoint())
	leave, err := r.enter(ctx, err)
	if leave == nil {
		return err
	}
	defer leave()

	attempts, cutOff := withGrace(ctx)
	defer cutOff()
	e := o.edges
	if e == nil {
		e = &edges{newTransport(), random}
	}
	if t, ok := e.transport.(*transport); ok && o.transport != nil {
		e.transport = o.transport(t)
	}
	if o.Began.IsZero() {
		o.Began = time.Now()
	}
	due := newSchedule(o.Began, o.Config.Interval, e.random())
	timer := time.NewTimer(due.wait(time.Now()))
	defer timer.Stop()
	var d *delivery
	for {
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		if attempts.Err() != nil {
			return nil
		}
		if d == nil {
			o.Config.Log(o.Problems...)
			if endpoint, err = parseEndpoint(o.Endpoint()); err != nil {
				return err
			}
			d = newDelivery(attempts, endpoint, r.format, o.Config, e)
		}
		last := ctx.Err() != nil
		err := r.report(ctx, due.next(time.Now()), d)
		switch {
		case err == nil && o.Delivered != nil:
			o.Delivered()
		case err != nil && o.Failed != nil:
			last = o.Failed(newFailure(endpoint, err)) != nil || last
		}
		if last {
			return nil
		}
		timer.Reset(due.wait(time.Now()))
	}
}

// report delivers a document until due. A panic is an error, which says what the
// panic does if that is the runtime's: another one may hold anything.
func (r *Reporter) report(ctx context.Context, due time.Time, d *delivery) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the reporter panicked: %T", p)
			if known, ok := p.(runtime.Error); ok {
				err = fmt.Errorf("the reporter panicked: %w", known)
			}
		}
	}()
	document, err := r.format.document()
	if err != nil {
		return err
	}
	answer, err := d.deliver(ctx, due, document)
	if err != nil {
		return err
	}
	return r.format.delivered(answer)
}

// withGrace returns a context that is canceled a grace period after ctx. Attempts
// are not cut off by ctx itself: one that is cut off may have been accepted all
// the same, and would then be counted twice.
func withGrace(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx.Done() == nil {
		return ctx, func() {}
	}
	longer, cancel := context.WithCancel(context.Background())
	go func() {
		select {
		case <-ctx.Done():
			time.AfterFunc(grace, cancel)
		case <-longer.Done():
		}
	}()
	return longer, cancel
}

// random is uniform in [0,1). The runtime seeds it for each process, and it draws
// nothing from what belongs to the app.
func random() float64 { return float64(new(maphash.Hash).Sum64()>>11) / (1 << 53) }
