// Package endpoint stands in for Heroku's language metrics service, for use in
// tests. It is to the agent what net/http/httptest is to an HTTP client.
//
// A Server listens on a real socket and is strict about requests: the method, the content
// type, the shape of the document and its exact set of keys. It keeps what it accepts, lists
// what it refuses and why, and answers with a fault where Options.Fault says so.
package endpoint

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	maxBody = 64 << 10 // bytes of one report's document; a real one has about 250
	maxKept = 16 << 20 // bytes of all the documents that are kept
	maxSaid = 400      // bytes of the reason for a refusal, which may quote the request
)

// Options configure a Server. The zero value works.
type Options struct {
	// Addr is the TCP address to listen on. The default is a free port of
	// 127.0.0.1.
	Addr string
	// Listener is used in place of Addr if it is not nil.
	Listener net.Listener
	// TLS makes the server speak https. The default is http.
	TLS *tls.Config
	// Keep is the number of reports, and of refusals, to keep. The server drops the
	// oldest first. The default is 3600, an hour of one report a second. It keeps fewer
	// if their documents exceed 16 MiB.
	Keep int
	// Fault decides how a request is answered. It is called for each request to the
	// path of a known process, before the body is read, and not concurrently. A nil
	// function, and the zero Fault, mean a healthy server.
	Fault func(Request) Fault
	// Now is the clock that stamps reports. The default is time.Now.
	Now func() time.Time
}

// A Request is what Options.Fault decides about.
type Request struct {
	Process string      // the name given to URL
	N       int         // counts the requests of this process, from 1
	Header  http.Header // must not be changed
}

// A Rejection is a request that the server refused.
type Rejection struct {
	Process  string // empty if the path belongs to no process
	Received time.Time
	Status   int
	Reason   string // never contains a path
}

// An Attempt is a request to the path of a known process, before its answer.
type Attempt struct {
	// Report is the request's report. If the request is refused or not read, only
	// Process and Received are set.
	Report
	Refused string // why it is refused; empty if it is not
	Unread  bool   // a fault answers it without reading it
}

// A Server accepts reports until it is closed. All its methods may be used
// concurrently. As an http.Handler, it serves the paths that URL returned.
type Server struct {
	opts   Options
	base   string // scheme and host of every URL
	http   *http.Server
	ctx    context.Context
	cancel context.CancelFunc
	active sync.WaitGroup // requests being served

	exports exports

	order sync.Mutex // held while a report is stored and announced, so that listeners see the order of Reports

	mu        sync.Mutex
	paths     map[string]*process // by path
	names     map[string]*process
	reports   []Report
	kept      int // bytes of the documents in reports
	accepted  tally
	rejected  []Rejection
	listeners map[int]listener
	nextID    int
}

// A listener has one of the functions.
type listener struct {
	report  func(Report)
	attempt func(Attempt)
	export  func(Export)
}

type process struct {
	name, path string
	requests   int
}

// Start returns a Server that is listening.
func Start(o Options) (*Server, error) {
	ln := o.Listener
	if ln == nil {
		addr := o.Addr
		if addr == "" {
			addr = "127.0.0.1:0"
		}
		var err error
		if ln, err = net.Listen("tcp", addr); err != nil {
			return nil, fmt.Errorf("starting the metrics endpoint: %w", err)
		}
	}
	scheme := "http"
	if o.TLS != nil {
		scheme = "https"
		ln = tls.NewListener(ln, o.TLS)
	}
	s := New(o)
	s.base = scheme + "://" + ln.Addr().String()
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 30 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return s.ctx },
		// This server expects clients that give up.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go s.http.Serve(ln)
	return s, nil
}

// New returns a Server that does not listen: an http.Handler for a test with its own
// network. Its URLs have the host endpoint.invalid.
func New(o Options) *Server {
	if o.Keep <= 0 {
		o.Keep = 3600
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{
		opts:      o,
		base:      "http://endpoint.invalid",
		paths:     map[string]*process{},
		names:     map[string]*process{},
		listeners: map[int]listener{},
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Close stops the server, ends its active requests and waits for them. What the server kept
// can still be read.
func (s *Server) Close() error {
	s.mu.Lock()
	s.cancel()
	s.mu.Unlock()
	var err error
	if s.http != nil {
		err = s.http.Close()
	}
	s.active.Wait()
	return err
}

// URL returns the URL for the named process to report to, for HEROKU_METRICS_URL. As on
// Heroku, its path is a secret of the process: random at the first call for that name, and
// the same at every later call.
func (s *Server) URL(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.names[name]
	if p == nil {
		var secret [16]byte
		if _, err := rand.Read(secret[:]); err != nil {
			panic("endpoint: reading random bytes: " + err.Error())
		}
		p = &process{name: name, path: "/" + hex.EncodeToString(secret[:])}
		s.names[name], s.paths[p.path] = p, p
	}
	return s.base + p.path
}

// Reports returns the accepted reports that the server still keeps, oldest first.
func (s *Server) Reports() []Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Report(nil), s.reports...)
}

// Rejected returns the refused requests that the server still keeps, oldest first.
func (s *Server) Rejected() []Rejection {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Rejection(nil), s.rejected...)
}

// OnReport calls f with every report that is accepted from now on, in the order of Reports
// and never concurrently. It does so before the sender gets the answer, so f must be quick.
// The returned function ends the subscription.
func (s *Server) OnReport(f func(Report)) (stop func()) {
	return s.listen(listener{report: f})
}

// OnAttempt calls f with every request to the path of a known process from now on, before
// the answer. It never does so concurrently with itself or with the functions of OnReport. An
// accepted report is an attempt first. f must be quick. The returned function ends the
// subscription.
func (s *Server) OnAttempt(f func(Attempt)) (stop func()) {
	return s.listen(listener{attempt: f})
}

func (s *Server) listen(l listener) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.nextID
	s.nextID++
	s.listeners[id] = l
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.listeners, id)
	}
}

// Wait returns the kept reports as soon as n reports were accepted since the start. If ctx
// is done or the server closed first, it returns the kept reports and an error.
func (s *Server) Wait(ctx context.Context, n int) ([]Report, error) {
	err := s.wait(ctx, &s.accepted, n, "reports")
	return s.Reports(), err
}

// A tally counts acceptances since the start.
type tally struct {
	mu    sync.Mutex
	n     int
	grown chan struct{} // closed at the next one; nil if nobody waits
}

func (t *tally) add() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n++
	if t.grown != nil {
		close(t.grown)
		t.grown = nil
	}
}

// now returns the count, and a channel that is closed when the count grows.
func (t *tally) now() (n int, grown <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.grown == nil {
		t.grown = make(chan struct{})
	}
	return t.n, t.grown
}

// wait returns as soon as n were accepted. If ctx is done or the server closed first, it
// returns an error.
func (s *Server) wait(ctx context.Context, accepted *tally, n int, what string) error {
	for {
		have, grown := accepted.now()
		if have >= n {
			return nil
		}
		var why error
		select {
		case <-grown:
			continue
		case <-ctx.Done():
			why = ctx.Err()
		case <-s.ctx.Done():
			why = errors.New("the endpoint was closed")
		}
		return fmt.Errorf("waiting for %d %s, %d came: %w", n, what, have, why)
	}
}

// ServeHTTP serves one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.begin() {
		panic(http.ErrAbortHandler)
	}
	defer s.active.Done()

	if strings.HasSuffix(r.URL.Path, otlpPath) {
		s.serveOTLP(w, r)
		return
	}
	name, fault, known := s.decide(r.URL.Path, r.Header)
	if !known {
		s.reject(w, name, http.StatusNotFound, "no process was given this path")
		return
	}
	if fault.Unread && fault.Serve != nil {
		s.announce(Attempt{Report: Report{Process: name, Received: s.opts.Now()}, Unread: true})
		fault.Serve(w, r) // there is no report to accept
		return
	}
	report, status, err := s.read(r)
	if err != nil {
		s.announce(Attempt{Report: Report{Process: name, Received: s.opts.Now()}, Refused: reason(err)})
		s.reject(w, name, status, reason(err))
		return
	}
	report.Process = name
	s.announce(Attempt{Report: report})
	aw := &answer{ResponseWriter: w, accept: func() { s.store(report) }}
	if fault.Serve != nil {
		fault.Serve(aw, r)
	}
	aw.WriteHeader(http.StatusOK)
}

// begin counts a request as active, unless the server is closed.
func (s *Server) begin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.active.Add(1)
	return true
}

func (s *Server) decide(path string, header http.Header) (name string, f Fault, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.paths[path]
	if p == nil {
		return "", Fault{}, false
	}
	p.requests++
	if s.opts.Fault != nil {
		f = s.opts.Fault(Request{Process: p.name, N: p.requests, Header: header})
	}
	return p.name, f, true
}

// read reads the report in a request, or returns the status to refuse it with.
func (s *Server) read(r *http.Request) (Report, int, error) {
	if r.Method != http.MethodPost {
		return Report{}, http.StatusMethodNotAllowed, fmt.Errorf("method %s, not POST", r.Method)
	}
	if ct := r.Header.Values("Content-Type"); len(ct) != 1 || ct[0] != "application/json" {
		return Report{}, http.StatusUnsupportedMediaType, fmt.Errorf("Content-Type %q, not application/json", strings.Join(ct, ", "))
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return Report{}, http.StatusBadRequest, fmt.Errorf("reading the body: %w", err)
	}
	if len(body) > maxBody {
		return Report{}, http.StatusRequestEntityTooLarge, fmt.Errorf("the body has more than %d bytes", maxBody)
	}
	report, err := Parse(body)
	if err != nil {
		return Report{}, http.StatusBadRequest, err
	}
	report.Received = s.opts.Now()
	return report, 0, nil
}

// reason returns the reason for a refusal, which may quote the request.
func reason(err error) string {
	text := err.Error()
	if len(text) > maxSaid {
		text = strings.ToValidUTF8(text[:maxSaid], "") + "…"
	}
	return text
}

func (s *Server) announce(a Attempt) {
	s.order.Lock()
	defer s.order.Unlock()
	s.notify(func(l listener) {
		if l.attempt != nil {
			l.attempt(a)
		}
	})
}

// notify calls f with each listener. The caller holds order.
func (s *Server) notify(f func(listener)) {
	s.mu.Lock()
	call := s.subscribed()
	s.mu.Unlock()
	for _, l := range call {
		f(l)
	}
}

func (s *Server) store(r Report) {
	s.order.Lock()
	defer s.order.Unlock()
	s.mu.Lock()
	s.reports = append(s.reports, r)
	s.kept += len(r.Body)
	extra := 0
	for ; len(s.reports)-extra > s.opts.Keep || s.kept > maxKept; extra++ {
		s.kept -= len(s.reports[extra].Body)
	}
	if extra > 0 {
		s.reports = append(s.reports[:0], s.reports[extra:]...)
	}
	s.accepted.add()
	call := s.subscribed()
	s.mu.Unlock()
	for _, l := range call {
		if l.report != nil {
			l.report(r)
		}
	}
}

// subscribed returns the listeners in the order of their subscriptions. The caller holds mu.
func (s *Server) subscribed() []listener {
	var call []listener
	for id := 0; id < s.nextID; id++ {
		if l, ok := s.listeners[id]; ok {
			call = append(call, l)
		}
	}
	return call
}

func (s *Server) reject(w http.ResponseWriter, name string, status int, reason string) {
	s.mu.Lock()
	s.rejected = append(s.rejected, Rejection{Process: name, Received: s.opts.Now(), Status: status, Reason: reason})
	if extra := len(s.rejected) - s.opts.Keep; extra > 0 {
		s.rejected = append(s.rejected[:0], s.rejected[extra:]...)
	}
	s.mu.Unlock()
	http.Error(w, reason, status)
}
