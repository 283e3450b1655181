// Package reporter is the loop behind packages agent and onload. It samples the runtime's
// metrics at a steady phase and delivers them.
//
//	Options -> schedule -> format -> delivery -> endpoint
//
// Its two destinations are Heroku's metrics service and, by OTLP, an OpenTelemetry
// Collector. They differ in their format and in the source of their settings, and share
// nothing else.
//
// The app's toolchain compiles this package, so it keeps to the language and library of
// Go 1.18.
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

// grace limits what Run does after it was canceled: it finishes the current attempt and
// makes one attempt to deliver what is pending.
const grace = 2 * time.Second

// Heroku is this process's Reporter to Heroku. It is global because reporting the
// counters of one process twice would double them.
var Heroku = Reporter{format: &heroku{}}

// ErrRunning is the error that Run returns while another run is not canceled.
var ErrRunning = errors.New("another reporter is running")

// Options configure Run. Endpoint and Config are required.
type Options struct {
	// Endpoint returns the endpoint. Run calls it at its start.
	Endpoint func() string
	Config   Config

	// Began is the start of the first interval; the zero value: the start of Run.
	Began time.Time
	// Off is the reason not to report from this process, or empty. Run ignores it.
	Off string
	// Problems are logged before the first report.
	Problems []string
	// Failed is called for every report that fails, one at a time. If it returns an
	// error, reporting ends. It may be nil.
	Failed func(error) error
	// Delivered is called for every report that is acknowledged. It may be nil.
	Delivered func()

	dependencies *dependencies // nil: those of Heroku
}

// dependencies are what a run takes from outside.
type dependencies struct {
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

// A format encodes documents for a destination. An implementation remembers, from one run
// to the next, what was delivered.
type format interface {
	// header returns the header of each request.
	header() http.Header
	// document returns the next document to send.
	document() ([]byte, error)
	// retry reports whether the status of an answer calls for another attempt.
	retry(status int) bool
	// delivered is called when the last document got a 2xx answer. Its error is
	// reported, but the document counts as delivered.
	delivered(answer []byte) error
}

// enter waits for the end of a canceled run, and returns ErrRunning if another run is not
// canceled. If there is no other run, it returns invalid if that is an error. If ctx ends
// first, leave is nil.
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

// Run reports until ctx is canceled. Then it makes one last attempt to deliver what is
// pending, and returns nil within the grace period. It also returns nil after Failed returns
// an error. It returns an error if the endpoint is invalid or another run is active. It does
// not contain a panic of Failed or Delivered.
func (r *Reporter) Run(ctx context.Context, o Options) error {
	endpoint, err := parseEndpoint(o.Endpoint())
	leave, err := r.enter(ctx, err)
	if leave == nil {
		return err
	}
	defer leave()

	attempts, cutOff := withGrace(ctx)
	defer cutOff()
	e := o.dependencies
	if e == nil {
		e = &dependencies{newTransport(), random}
	}
	if o.Began.IsZero() {
		o.Began = time.Now()
	}
	due := newSchedule(o.Began, o.Config.Interval, e.random())
	timer := time.NewTimer(due.wait(time.Now()))
	defer timer.Stop()
	d := newDelivery(attempts, endpoint, r.format, o.Config, e)
	for {
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		if attempts.Err() != nil {
			return nil
		}
		o.Config.Log(o.Problems...)
		o.Problems = nil
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

// report delivers a document until due. It turns a panic into an error. The error has the
// panic's text only if the runtime panicked: any other text may contain anything.
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

// withGrace returns a context that is canceled a grace period after ctx. ctx itself does not
// cut off attempts: see RoundTrip of delivery.
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

// random is uniform in [0,1). The runtime seeds it for each process, and it takes nothing
// from the app's own random sources.
func random() float64 { return float64(new(maphash.Hash).Sum64()>>11) / (1 << 53) }
