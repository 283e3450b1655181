package reporter

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	maxAnswer    = 64 << 10    // bytes read of an answer's head, and of its body
	drainTime    = time.Second // for reading the body of an answer that accepts
	maxRedirects = 5
)

// A delivery brings documents to the endpoint, one after the other.
type delivery struct {
	endpoint *url.URL
	client   *retryablehttp.Client
	step     time.Duration // what the waits between attempts grow from
	edges    edges

	// of the document that is being delivered
	ctx      context.Context // ends the wait for another attempt
	deadline time.Time       // of the attempts
	retry    bool
	attempts int
	failed   error         // what was wrong with the last attempt
	wait     time.Duration // before the next one
}

func newDelivery(endpoint *url.URL, c Config, e edges) *delivery {
	d := &delivery{endpoint: endpoint, step: c.Interval / 20, edges: e}
	d.client = &retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport:     e.transport,
			Timeout:       c.Timeout,
			CheckRedirect: checkRedirect,
		},
		RetryMax:   c.Retries,
		CheckRetry: d.check,
		// The client's own wait could be ended early only together with the
		// attempts, so the wait is in PrepareRetry.
		Backoff:      func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return 0 },
		PrepareRetry: func(*http.Request) error { return d.pause() },
		ErrorHandler: func(resp *http.Response, err error, _ int) (*http.Response, error) {
			if resp != nil {
				resp.Body.Close()
			}
			return nil, err
		},
	}
	return d
}

// newTransport returns a transport that keeps one connection open between
// reports and bounds all that an endpoint could make it hold.
func newTransport(timeout time.Duration) *http.Transport {
	return &http.Transport{
		Proxy: proxyFromEnvironment,
		// Connecting goes on after the attempt that wanted the connection is
		// over, so it has bounds of its own.
		DialContext:            (&net.Dialer{Timeout: timeout}).DialContext,
		TLSHandshakeTimeout:    timeout,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		DisableCompression:     true,    // answers are not looked at
		ReadBufferSize:         1 << 10, // reports and answers are small
		WriteBufferSize:        1 << 10,
		MaxIdleConns:           1,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: maxAnswer,
	}
}

func (d *delivery) close() { d.client.HTTPClient.CloseIdleConnections() }

// deliver returns nil once the endpoint answered 2xx to the document. ctx
// ends the waits between attempts; attempts, with its deadline, bounds the
// attempts. The document may be read for a while after deliver has returned.
func (d *delivery) deliver(ctx, attempts context.Context, document []byte, retry bool) error {
	d.ctx, d.retry, d.attempts = ctx, retry, 0
	d.deadline, _ = attempts.Deadline()

	attempts, cancel := context.WithCancel(attempts)
	defer cancel()
	req, err := retryablehttp.NewRequestWithContext(attempts, http.MethodPost, d.endpoint.String(), document)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := d.client.Do(req)
	if err != nil {
		return err
	}
	// The answer is an acknowledgement whatever becomes of its body, which
	// is read only so that the connection can be used again.
	if resp.Body != http.NoBody {
		t := time.AfterFunc(drainTime, cancel)
		defer t.Stop()
		io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	}
	resp.Body.Close()
	return nil
}

// check is called after each attempt. It says whether to make another one and
// what was wrong with this one.
func (d *delivery) check(attempts context.Context, resp *http.Response, err error) (again bool, _ error) {
	if u, ok := err.(*url.Error); ok {
		err = u.Err // the URL is a secret
	}
	d.attempts++
	again = d.retry && d.attempts <= d.client.RetryMax && attempts.Err() == nil
	switch {
	case err != nil:
		if _, refused := err.(*refusedRedirect); refused {
			again = false
		}
	case resp.StatusCode/100 == 2:
		return false, nil
	default:
		// Not resp.Status: its words are the endpoint's, and may be anything.
		err = fmt.Errorf("the endpoint answered %s", strings.TrimSpace(strconv.Itoa(resp.StatusCode)+" "+http.StatusText(resp.StatusCode)))
		if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode/100 != 5 {
			again = false
		}
	}
	if again {
		d.wait = d.backoff(resp)
		again = !d.edges.now().Add(d.wait).After(d.deadline)
	}
	if d.attempts > 1 {
		err = fmt.Errorf("attempt %d: %w", d.attempts, err)
	}
	d.failed = err
	return again, err
}

// backoff is how long to wait after a failed attempt: from half to all of a
// step that doubles each time, added to what the endpoint asked for. Random,
// so that clients which failed together do not come back together.
func (d *delivery) backoff(resp *http.Response) time.Duration {
	doublings := d.attempts - 1
	if doublings > 10 { // an interval holds no more
		doublings = 10
	}
	wait := time.Duration((1 + d.edges.random()) / 2 * float64(d.step<<uint(doublings)))
	if resp != nil {
		after := resp.Header.Get("Retry-After")
		if seconds, err := strconv.ParseInt(after, 10, 32); err == nil && seconds > 0 {
			wait += time.Duration(seconds) * time.Second
		} else if date, err := http.ParseTime(after); err == nil && date.After(d.edges.now()) {
			wait += date.Sub(d.edges.now())
		}
	}
	return wait
}

func (d *delivery) pause() error {
	t := time.NewTimer(d.wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-d.ctx.Done():
		return d.failed
	}
}

// A refusedRedirect names no URL.
type refusedRedirect struct{ reason string }

func (r *refusedRedirect) Error() string { return "refused to be redirected " + r.reason }

// checkRedirect lets a report be redirected within its host only, and never
// from https to http: whoever answers must not be able to send it elsewhere.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first, last := via[0], via[len(via)-1]
	from, to := last.URL, req.URL
	upgrade := from.Scheme == "http" && to.Scheme == "https" && strings.EqualFold(from.Hostname(), to.Hostname())
	if !upgrade && (from.Scheme != to.Scheme || !strings.EqualFold(from.Host, to.Host)) {
		return &refusedRedirect{"to another host or scheme"}
	}
	if len(via) > maxRedirects {
		return &refusedRedirect{fmt.Sprintf("more than %d times", maxRedirects)}
	}
	if req.Response != nil && req.Response.StatusCode == http.StatusSeeOther {
		return &refusedRedirect{"by 303, which delivers nothing"}
	}
	// net/http makes a GET of a POST that is answered 301 or 302. There is
	// nothing to get: what is wanted is the report's arrival elsewhere.
	if req.Method != first.Method {
		body, err := first.GetBody()
		if err != nil {
			return err
		}
		req.Method, req.Body, req.GetBody, req.ContentLength = first.Method, body, first.GetBody, first.ContentLength
		req.Header.Set("Content-Type", first.Header.Get("Content-Type"))
	}
	req.Header.Del("Referer") // the endpoint's path
	return nil
}
