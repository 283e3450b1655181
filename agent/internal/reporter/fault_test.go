package reporter

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	mathrand "math/rand"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"runtime/debug"
	"sort"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
)

// A faultCase injects a fault between a reporter and an endpoint, over real sockets, and ends
// it.
type faultCase struct {
	name     string
	interval time.Duration // default 1500ms
	timeout  time.Duration // default 1400ms: what the fault does not slow down is not cut off, however busy the machine is
	noRetry  bool          // default 2 retries
	reports  int           // how many are to be accepted before the end; default 2

	// faults is what the endpoint does to the first requests. self is the
	// process's URL, other one of the same endpoint that accepts.
	faults func(self, other string) []endpoint.Fault
	// setup changes the world before the run. The returned function, if any,
	// is called at the first failure and ends the fault.
	setup func(w *world) (mend func())

	failed   int           // at least so many reports fail; none if 0
	says     string        // what one of the failures says
	requests int           // the endpoint sees at least so many
	pause    time.Duration // the least between the first two of them
	only5xx  bool          // by OTLP such an answer is no reason for another attempt
	otlp     bool          // for OTLP only
	totals   bool          // by OTLP no deltas: each of two servers would get only a part of them
}

// world is what a faultCase's setup may change.
type world struct {
	t         *testing.T
	url       func(_ *endpoint.Server, process string) string
	options   endpoint.Options
	transport *transport
	roundTrip http.RoundTripper  // used in place of transport
	host      string             // replaces the host of the URL
	others    []*endpoint.Server // accept reports of the process too
}

func burst(n int, f endpoint.Fault) []endpoint.Fault {
	var fs []endpoint.Fault
	for i := 0; i < n; i++ {
		fs = append(fs, f)
	}
	return fs
}

func always(n int, f endpoint.Fault) func(string, string) []endpoint.Fault {
	return func(string, string) []endpoint.Fault { return burst(n, f) }
}

var faultCases = []faultCase{
	{name: "nothing"},

	{name: "connection refused", setup: refuse, failed: 1, says: "refused"},
	{name: "DNS failure", setup: failDNS, failed: 1, says: "no such host"},
	{name: "black hole", interval: 3 * time.Second, timeout: 900 * time.Millisecond, faults: always(3, endpoint.BlackHole()), failed: 1, says: "deadline exceeded"},
	{name: "black hole, then an answer within the interval", interval: 3 * time.Second, timeout: 900 * time.Millisecond, faults: always(1, endpoint.BlackHole()), requests: 2},
	{name: "slow headers", interval: 3 * time.Second, timeout: 900 * time.Millisecond, faults: always(3, endpoint.SlowHeaders(time.Minute)), failed: 1, says: "deadline exceeded"},
	{name: "headers within the timeout", faults: always(3, endpoint.SlowHeaders(10*time.Millisecond))},
	{name: "slow body", faults: always(3, endpoint.SlowBody(time.Minute))},
	{name: "endless body", faults: always(3, endpoint.EndlessBody())},
	{name: "gzip bomb", faults: always(3, endpoint.GzipBomb())},
	{name: "slow body of a 503", interval: 3 * time.Second, timeout: 900 * time.Millisecond, faults: always(2, endpoint.Fault{Name: "slow 503", Serve: func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(503)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}}), requests: 3},
	{name: "reset before the request was read", faults: always(3, endpoint.ResetUnread()), failed: 1, requests: 4},
	{name: "reset after the request was read", faults: always(3, endpoint.ResetRead()), failed: 1, says: "reset", requests: 4},
	{name: "connection closed without an answer", faults: always(1, endpoint.Raw("", "")), requests: 2},

	{name: "500 burst within the interval", only5xx: true, faults: always(2, endpoint.Status(500)), requests: 3},
	{name: "500 burst of 3 intervals", only5xx: true, faults: always(9, endpoint.Status(500)), failed: 3, says: ": the endpoint answered 500 Internal Server Error", requests: 10},
	{name: "502 burst of 2 intervals", faults: always(6, endpoint.Status(502)), failed: 2, says: "502", requests: 7},
	{name: "503 burst of 2 intervals", faults: always(6, endpoint.Status(503)), failed: 2, says: "503", requests: 7},
	{name: "503, no retries", noRetry: true, faults: always(2, endpoint.Status(503)), failed: 2, says: ": the endpoint answered 503", requests: 3},
	{name: "429 with Retry-After 1s, interval 4s", interval: 4 * time.Second, faults: always(1, endpoint.Status(429, "Retry-After", "1")), requests: 2, pause: time.Second, reports: 1},
	{name: "429 with Retry-After as a date, interval 6s", interval: 6 * time.Second, faults: func(string, string) []endpoint.Fault {
		return []endpoint.Fault{{Name: "429", Serve: func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", time.Now().Add(2*time.Second).UTC().Format(http.TimeFormat))
			w.WriteHeader(429)
		}}}
	}, requests: 2, pause: time.Second, reports: 1},
	{name: "429 with Retry-After beyond the interval", faults: always(1, endpoint.Status(429, "Retry-After", "60")), failed: 1, says: "429"},
	{name: "503 with a Retry-After that is no number", faults: always(1, endpoint.Status(503, "Retry-After", "soon")), requests: 2},
	{name: "400", faults: always(2, endpoint.Status(400)), failed: 2, says: ": the endpoint answered 400"},
	{name: "404 that quotes the path", faults: func(self, _ string) []endpoint.Fault {
		u, _ := url.Parse(self)
		return burst(2, endpoint.Raw("404", "HTTP/1.1 404 no "+u.RequestURI()+"\r\nContent-Length: 0\r\n\r\n"))
	}, failed: 2, says: "404 Not Found"},
	{name: "status line that quotes the path", faults: func(self, _ string) []endpoint.Fault {
		u, _ := url.Parse(self)
		return burst(3, endpoint.Raw("junk", "nothing-at:"+u.Path+"-or-"+self+"\r\n\r\n"))
	}, failed: 1, says: "malformed"},
	{name: "status line that quotes half of the path and the credentials", faults: func(self, _ string) []endpoint.Fault {
		u, _ := url.Parse(self)
		return burst(3, endpoint.Raw("junk", "nothing-at:"+u.Path[:16]+"-for-"+basic()+"-or-"+basic()[:12]+"\r\n\r\n"))
	}, failed: 1, says: "malformed"},
	{name: "malformed status line", faults: always(3, endpoint.Raw("junk", "HTTP/1.1 OK 200\r\n\r\n")), failed: 1, says: "malformed"},
	{name: "headers without end", faults: always(9, endpoint.Raw("long", "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 128<<10))), failed: 1, says: "head of the answer exceeded 65536 bytes"},
	{name: "101", faults: always(2, endpoint.Raw("101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")), failed: 2, says: ": the endpoint answered 101 Switching Protocols"},
	{name: "103 without end", faults: always(9, endpoint.Raw("103", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 1<<13))), failed: 1, says: "head of the answer exceeded 65536 bytes"},
	{name: "103, then an answer", faults: always(2, endpoint.Raw("103", "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))},
	{name: "HTTP/2 unasked", faults: always(3, endpoint.Raw("SETTINGS", "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00")), failed: 1, says: "speaks HTTP/2 unasked"},
	{name: "204 with a body", faults: always(3, endpoint.Raw("204", "HTTP/1.1 204 No Content\r\n\r\n{}"))},
	{name: "HTTP/1.0", faults: always(3, endpoint.Raw("HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\n"))},
	{name: "202 and 204", faults: func(string, string) []endpoint.Fault {
		return []endpoint.Fault{endpoint.Status(202), endpoint.Status(204)}
	}},

	{name: "301 within the host", faults: redirect(301)},
	{name: "302 within the host", faults: redirect(302)},
	{name: "307 within the host", faults: redirect(307)},
	{name: "308 within the host", faults: redirect(308)},
	{name: "303 within the host", faults: redirect(303), failed: 2, says: "303"},
	{name: "301 to another host", setup: elsewhere(301), failed: 2, says: "another host"},
	{name: "302 to another host", setup: elsewhere(302), failed: 2, says: "another host"},
	{name: "307 to another host", setup: elsewhere(307), failed: 2, says: "another host"},
	{name: "308 to another host", setup: elsewhere(308), failed: 2, says: "another host"},
	{name: "308 from http to https", setup: upgrade, totals: true},
	{name: "308 from https to http", setup: downgrade, failed: 2, says: "another host or scheme"},
	{name: "redirect loop", faults: func(self, _ string) []endpoint.Fault {
		return burst(maxRedirects+1, endpoint.Redirect(307, self))
	}, failed: 1, says: "more than 5 redirects", requests: maxRedirects + 1},
	{name: "redirect without a target", faults: always(1, endpoint.Status(307)), failed: 1},

	{name: "expired certificate", setup: badCertificate(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }), failed: 1, says: "expired"},
	{name: "certificate of another host", setup: badCertificate(func(c *x509.Certificate) { c.IPAddresses = []net.IP{{192, 0, 2, 1}} }), failed: 1, says: "not valid for 127.0.0.1"},
	{name: "self-signed certificate", setup: badCertificate(nil), failed: 1, says: "unknown authority"},
	{name: "TLS 1.1", setup: oldTLS, failed: 1, says: "protocol version"},
	{name: "proxy that refuses", setup: refusingProxy, failed: 1, says: "no valid answer through the proxy"},
	{name: "proxy that is not there", setup: absentProxy, failed: 1, says: "proxyconnect: dial tcp"},

	{name: "partial success", otlp: true, faults: always(1, endpoint.PartialSuccess(3, "of a sort")), failed: 1, says: "rejected 3 data points"},
	{name: "partial success with nothing rejected", otlp: true, faults: always(1, endpoint.PartialSuccess(0, "of a sort"))},

	{name: "panic of the agent", setup: func(w *world) func() {
		var once sync.Once
		w.roundTrip = roundTripFunc(func(r *http.Request) (*http.Response, error) {
			once.Do(func() { panic("provoked at " + r.URL.String()) })
			return w.transport.RoundTrip(r)
		})
		return nil
	}, failed: 1, says: "panicked: string"},
}

// TestFaults checks for each fault and each destination that no count is lost or doubled, and
// that no error or panic text contains a secret of the URL. It prints what it saw.
func TestFaults(t *testing.T) {
	t.Run("Heroku", func(t *testing.T) { t.Parallel(); testFaults(t, false) })
	t.Run("OTLP", func(t *testing.T) { t.Parallel(); testFaults(t, true) })
}

func testFaults(t *testing.T, otlp bool) {
	type row struct {
		name                                      string
		requests, failed, accepted, lost, doubled int64
	}
	rows := make([]row, len(faultCases))
	t.Run("", func(t *testing.T) {
		for i := range faultCases {
			i, c := i, faultCases[i]
			if c.otlp && !otlp {
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				o := c.run(t, otlp)
				rows[i] = row{c.name, int64(o.requests), int64(len(o.failures)), int64(o.accepted), o.lost, o.doubled}
			})
		}
	})
	var table bytes.Buffer
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "%s\trequests\tfailed reports\taccepted reports\tcollections lost\tdoubled\n", strings.Split(t.Name(), "/")[1])
	for _, r := range rows {
		if r.name != "" {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\n", r.name, r.requests, r.failed, r.accepted, r.lost, r.doubled)
		}
	}
	w.Flush()
	fmt.Println(table.String())
}

type outcome struct {
	requests, accepted int
	lost, doubled      int64
	failures           []error
}

// run reports through the case's fault until enough reports are accepted, and checks the
// result.
func (c faultCase) run(t *testing.T, otlp bool) outcome {
	r := c.prepare(t, otlp)
	defer r.server.Close()
	before, after := r.report()
	r.count(before, after)
	r.check()
	return r.outcome
}

// A faultRun is a running faultCase.
type faultRun struct {
	faultCase
	t      *testing.T
	otlp   bool
	config Config
	world  *world
	server *endpoint.Server
	url    string
	mend   func()
	heroku heroku

	mu      sync.Mutex
	outcome outcome
	script  func(endpoint.Request) endpoint.Fault
	arrived []time.Time
}

func (c faultCase) prepare(t *testing.T, otlp bool) *faultRun {
	r := &faultRun{faultCase: c, t: t, otlp: otlp, config: Config{Interval: 1500 * time.Millisecond, Timeout: 1400 * time.Millisecond, Retries: 2}}
	if c.interval != 0 {
		r.config.Interval = c.interval
	}
	if c.timeout != 0 {
		r.config.Timeout = c.timeout
	}
	if c.noRetry {
		r.config.Retries = 0
	}
	if c.reports == 0 {
		r.reports = 2
	}
	if otlp && c.only5xx {
		r.failed, r.requests = 2, 3
	}
	w := &world{t: t, transport: newTransport(), url: (*endpoint.Server).URL}
	if otlp {
		w.url = (*endpoint.Server).OTLPURL
	}
	w.transport.proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	w.options.Fault = r.fault
	r.world = w
	if c.setup != nil {
		r.mend = c.setup(w)
	}
	var err error
	if r.server, err = endpoint.Start(w.options); err != nil {
		t.Fatal(err)
	}
	r.url = withSecrets(t, w.url(r.server, "web.1"), w.host)
	if c.faults != nil {
		r.script = endpoint.Script(c.faults(r.url, w.url(r.server, "other"))...)
	}
	return r
}

// fault is what the endpoint does to a request.
func (r *faultRun) fault(req endpoint.Request) endpoint.Fault {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, name := range []string{"Referer", "Accept-Encoding"} { // the one tells the path, the other asks for bombs
		if v := req.Header.Get(name); v != "" {
			r.t.Errorf("request with %s: %s", name, v)
		}
	}
	r.outcome.requests++
	r.arrived = append(r.arrived, time.Now())
	if req.Process == "web.1" && r.script != nil {
		return r.script(req)
	}
	return endpoint.Fault{}
}

// failure is called for each failed report.
func (r *faultRun) failure(err error) error {
	runtime.GC() // something to be lost
	r.mu.Lock()
	r.outcome.failures = append(r.outcome.failures, err)
	first := len(r.outcome.failures) == 1
	r.mu.Unlock()
	if first && r.mend != nil {
		r.mend()
	}
	return nil
}

// report reports until enough is accepted, and returns the least and the most collections that
// the process can have reported.
func (r *faultRun) report() (before, after int64) {
	t := r.t
	reporter := Reporter{format: &r.heroku}
	if r.otlp {
		f := testedFormat()
		f.log = func(...string) {}
		f.gzip, f.delta[counter], f.delta[histogram] = true, !r.totals, !r.totals
		f.requests.Set("Content-Encoding", "gzip")
		reporter.format = f
	}
	var transport http.RoundTripper = r.world.transport
	if r.world.roundTrip != nil {
		transport = r.world.roundTrip
	}
	phase := mathrand.Float64() // spreads the cases over the interval
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	patience, stop := context.WithTimeout(context.Background(), 30*time.Second)
	defer stop()
	runtime.GC()
	done := make(chan error, 1)
	go func() {
		done <- reporter.Run(ctx, Options{
			Endpoint:     func() string { return r.url },
			Config:       r.config,
			dependencies: &dependencies{transport: transport, random: func() float64 { return phase }},
			Failed:       r.failure,
		})
	}()
	var err error
	if r.otlp {
		_, err = r.server.WaitExports(patience, r.reports)
	} else {
		_, err = r.server.Wait(patience, r.reports)
	}
	if err != nil {
		cancel()
		<-done
		t.Fatalf("%v; failures: %v; rejected: %v", err, r.outcome.failures, r.server.Rejected())
	}
	before = collections()
	cancel()
	canceled := time.Now()
	if err := <-done; err != nil {
		t.Errorf("Run returned %v", err)
	}
	if took := time.Since(canceled); took > grace+time.Second {
		t.Errorf("Run returned %v after it was canceled", took)
	}
	return before, collections()
}

// count compares what was accepted with what the process did.
func (r *faultRun) count(before, after int64) {
	o := &r.outcome
	r.server.Close()
	var sum, pause float64
	var exports []endpoint.Export
	for _, s := range append(r.world.others, r.server) {
		for _, report := range s.Reports() {
			sum += report.Collections
			pause += report.PauseNS
			o.accepted++
		}
		exports = append(exports, s.Exports()...)
	}
	sort.Slice(exports, func(i, j int) bool { return exports[i].Time.Before(exports[j].Time) })
	for _, e := range exports {
		total := e.Values["go.memory.gc.cycles"]
		if total < sum {
			r.t.Errorf("the total went from %v to %v", sum, total)
		}
		sum = total
		o.accepted++
	}
	if lost := before - int64(sum); lost > 0 {
		o.lost = lost
	}
	if doubled := int64(sum) - after; doubled > 0 {
		o.doubled = doubled
	}
	acked := r.heroku.acked
	if o.lost != 0 || o.doubled != 0 || !r.otlp && (uint32(sum) != acked.collections || uint64(pause) != acked.pauseNS) {
		r.t.Errorf("the reports say %v collections, %v ns; the process had %d to %d, the reporter thinks %+v acknowledged", sum, pause, before, after, acked)
	}
	if rejected := r.server.Rejected(); len(rejected) > 0 {
		r.t.Errorf("rejected: %+v", rejected)
	}
}

// check compares requests and failures with those that the case expects.
func (r *faultRun) check() {
	r.mu.Lock()
	defer r.mu.Unlock()
	t, failures := r.t, r.outcome.failures
	if n := len(failures); n < r.failed || n > 0 && r.failed == 0 {
		t.Errorf("%d reports failed, want %d: %v", n, r.failed, failures)
	}
	if len(failures) > 0 && !strings.Contains(fmt.Sprint(failures), r.says) {
		t.Errorf("none of the failures %q says %q", failures, r.says)
	}
	if r.outcome.requests < r.requests {
		t.Errorf("%d requests, want %d", r.outcome.requests, r.requests)
	}
	if r.pause > 0 {
		if waited := r.arrived[1].Sub(r.arrived[0]); waited < r.pause || waited > r.config.Interval {
			t.Errorf("came back after %v, was told to wait %v", waited, r.pause)
		}
	}
	for _, err := range failures {
		holdsNoSecret(t, r.url, err)
	}
}

func collections() int64 {
	var gc debug.GCStats
	debug.ReadGCStats(&gc)
	return gc.NumGC
}

const (
	secretUser, secretPassword = "aUserOfSorts", "p4ssw0rd-of-sorts"
	secretQuery                = "a-key-in-the-query"
)

// basic is the form of the credentials in the header Authorization.
func basic() string {
	return base64.StdEncoding.EncodeToString([]byte(secretUser + ":" + secretPassword))
}

// withSecrets adds the other secrets of a URL.
func withSecrets(t *testing.T, s, host string) string {
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(secretUser, secretPassword)
	u.RawQuery = "key=" + secretQuery
	if host != "" {
		u.Host = net.JoinHostPort(host, u.Port())
	}
	return u.String()
}

// holdsNoSecret looks for secrets of the endpoint in everything that err contains.
func holdsNoSecret(t *testing.T, endpoint string, err error) {
	t.Helper()
	u, perr := url.Parse(endpoint)
	if perr != nil {
		t.Fatal(perr)
	}
	for e := err; e != nil; e = errors.Unwrap(e) {
		for _, text := range []string{e.Error(), fmt.Sprintf("%+v", e), fmt.Sprintf("%#v", e)} {
			for _, secret := range []string{u.Path[1:9], secretUser, secretPassword, secretQuery, basic()[:8]} {
				if strings.Contains(text, secret) {
					t.Errorf("%T holds a secret: %s", e, text)
				}
			}
		}
	}
	if !strings.Contains(err.Error(), u.Host) {
		t.Errorf("%q does not name the host", err)
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		t.Errorf("%v wraps a *url.Error with %s", err, ue.URL)
	}
}

type roundTripFunc func(*http.Request) (*http.Response, error)

func (f roundTripFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// refuse leaves the endpoint's address without a listener until the first failure.
func refuse(w *world) func() {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	taken.Close()
	ln := &lateListener{addr: taken.Addr(), open: make(chan net.Listener, 1), closed: make(chan struct{})}
	w.options.Listener = ln
	return func() {
		l, err := net.Listen("tcp", ln.addr.String())
		if err != nil {
			w.t.Error(err)
			return
		}
		ln.open <- l
	}
}

// A lateListener accepts once it is given a listener.
type lateListener struct {
	addr   net.Addr
	open   chan net.Listener
	closed chan struct{}
	once   sync.Once
	ln     net.Listener
}

func (l *lateListener) Addr() net.Addr { return l.addr }

func (l *lateListener) Accept() (net.Conn, error) {
	if l.ln == nil {
		select {
		case l.ln = <-l.open:
			go func() {
				<-l.closed
				l.ln.Close()
			}()
		case <-l.closed:
			return nil, net.ErrClosed
		}
	}
	return l.ln.Accept()
}

func (l *lateListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// failDNS makes a name server deny the endpoint's name until the first failure.
func failDNS(w *world) func() {
	dns, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { dns.Close() })
	mended := make(chan struct{})
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := dns.ReadFrom(buf)
			if err != nil {
				return
			}
			// RFC 1035: a header of 12 bytes, then the question: labels up
			// to a zero byte, type and class.
			q := buf[:n]
			end := 12 + bytes.IndexByte(q[12:], 0) + 5
			answer := append([]byte(nil), q[:end]...)
			copy(answer[2:12], []byte{0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0}) // NXDOMAIN
			select {
			case <-mended:
				answer[3] = 0x80
				if q[end-3] == 1 { // A
					answer[7] = 1
					answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1)
				}
			default:
			}
			dns.WriteTo(answer, from)
		}
	}()
	w.host = "metrics.test"
	w.transport.resolver = &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "udp", dns.LocalAddr().String())
		},
	}
	return func() { close(mended) }
}

func redirect(code int) func(string, string) []endpoint.Fault {
	return func(_, other string) []endpoint.Fault { return burst(2, endpoint.Redirect(code, other)) }
}

// elsewhere redirects to another host, whose server must get no request.
func elsewhere(code int) func(*world) func() {
	return func(w *world) func() {
		other := startOther(w.t, endpoint.Options{Fault: func(endpoint.Request) endpoint.Fault {
			w.t.Error("the other host was sent a report")
			return endpoint.Fault{}
		}})
		redirectFirst(w, 2, endpoint.Redirect(code, other.URL("thief")))
		return nil
	}
}

func upgrade(w *world) func() {
	ca := newAuthority(w.t)
	w.transport.tls.RootCAs = ca.pool
	inner := w.options.Fault
	secure := startOther(w.t, endpoint.Options{TLS: ca.config(w.t, nil)})
	n := 0
	w.options.Fault = func(r endpoint.Request) endpoint.Fault {
		inner(r)
		if n++; n > 1 {
			return endpoint.Fault{}
		}
		return endpoint.Fault{Serve: func(rw http.ResponseWriter, req *http.Request) {
			rw.Header().Set("Location", w.url(secure, "web.1"))
			rw.WriteHeader(308)
		}}
	}
	w.others = append(w.others, secure)
	return nil
}

func downgrade(w *world) func() {
	ca := newAuthority(w.t)
	w.options.TLS = ca.config(w.t, nil)
	w.transport.tls.RootCAs = ca.pool
	other := startOther(w.t, endpoint.Options{Fault: func(endpoint.Request) endpoint.Fault {
		w.t.Error("the report was sent in the clear")
		return endpoint.Fault{}
	}})
	redirectFirst(w, 2, endpoint.Redirect(308, other.URL("thief")))
	return nil
}

func redirectFirst(w *world, n int, f endpoint.Fault) {
	inner, script := w.options.Fault, endpoint.Script(burst(n, f)...)
	w.options.Fault = func(r endpoint.Request) endpoint.Fault {
		inner(r)
		return script(r)
	}
}

func startOther(t *testing.T, o endpoint.Options) *endpoint.Server {
	s, err := endpoint.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// badCertificate serves a bad certificate until the first failure: one with a fault or, without
// a fault, a self-signed one.
func badCertificate(spoil func(*x509.Certificate)) func(*world) func() {
	return func(w *world) func() {
		ca := newAuthority(w.t)
		w.transport.tls.RootCAs = ca.pool
		good := ca.config(w.t, nil).Certificates[0]
		issuer := ca
		if spoil == nil {
			issuer = newAuthority(w.t)
		}
		bad := issuer.config(w.t, spoil).Certificates[0]
		mended := make(chan struct{})
		w.options.TLS = &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			select {
			case <-mended:
				return &good, nil
			default:
				return &bad, nil
			}
		}}
		return func() { close(mended) }
	}
}

func oldTLS(w *world) func() {
	ca := newAuthority(w.t)
	w.transport.tls.RootCAs = ca.pool
	good := ca.config(w.t, nil)
	mended := make(chan struct{})
	w.options.TLS = &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c := good.Clone()
		select {
		case <-mended:
		default:
			c.MinVersion, c.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
		}
		return c, nil
	}}
	return func() { close(mended) }
}

type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{cert, key, x509.NewCertPool()}
	a.pool.AddCert(cert)
	return a
}

// config is for a server of 127.0.0.1.
func (a *authority) config(t *testing.T, spoil func(*x509.Certificate)) *tls.Config {
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{{127, 0, 0, 1}}}
	if spoil != nil {
		spoil(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: a.key}}}
}

// refusingProxy answers CONNECT with 403 until the first failure.
func refusingProxy(w *world) func() {
	ca := newAuthority(w.t)
	w.options.TLS = ca.config(w.t, nil)
	w.transport.tls.RootCAs = ca.pool
	mended := make(chan struct{})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer client.Close()
				req, err := http.ReadRequest(bufio.NewReader(client))
				if err != nil || req.Method != http.MethodConnect {
					return
				}
				select {
				case <-mended:
				default:
					io.WriteString(client, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
					return
				}
				server, err := net.Dial("tcp", req.Host)
				if err != nil {
					return
				}
				defer server.Close()
				io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
				go io.Copy(server, client)
				io.Copy(client, server)
			}()
		}
	}()
	proxy := &url.URL{Scheme: "http", Host: ln.Addr().String(), User: url.UserPassword("proxyuser", "proxypassword")}
	w.transport.proxy = http.ProxyURL(proxy)
	return func() { close(mended) }
}

func absentProxy(w *world) func() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	ln.Close()
	var mu sync.Mutex
	proxy := &url.URL{Scheme: "http", Host: ln.Addr().String()}
	w.transport.proxy = func(*http.Request) (*url.URL, error) {
		mu.Lock()
		defer mu.Unlock()
		return proxy, nil
	}
	return func() {
		mu.Lock()
		defer mu.Unlock()
		proxy = nil
	}
}

func TestMain(m *testing.M) {
	if url := os.Getenv("REPORT_AND_MEASURE"); url != "" {
		reportAndMeasure(url)
		return
	}
	if os.Getenv("PRINT_PROXIES") != "" {
		fmt.Print(proxies(http.ProxyFromEnvironment))
		return
	}
	// A test sets what it depends on.
	for _, name := range []string{"HMETRICS_INTERVAL", "HMETRICS_TIMEOUT", "HMETRICS_RETRIES", "HMETRICS_ONE_OFF", "HMETRICS_VERBOSE", "DYNO", "HEROKU_METRICS_URL", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"} {
		os.Unsetenv(name)
	}
	// The tests wait rather than compute.
	flag.Parse()
	flag.Set("test.parallel", "48")
	os.Exit(m.Run())
}
