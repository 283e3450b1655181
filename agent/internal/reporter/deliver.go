package reporter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const maxRedirects = 5

// maxAnswer limits the bytes that are read of an answer's head, and of its body. bodyTime
// limits the time to read the body.
const maxAnswer, bodyTime = 64 << 10, time.Second

// A delivery sends documents to the endpoint, one after the other. As an
// http.RoundTripper, it makes one attempt.
type delivery struct {
	transport http.RoundTripper
	endpoint  *url.URL
	format    format
	client    *retryablehttp.Client
	attempts  context.Context // limits all attempts
	timeout   time.Duration   // of one
	due       time.Time       // when the next document is
	failed    error           // of the last attempt; nil if it succeeded
	answer    []byte          // its body
}

func newDelivery(attempts context.Context, endpoint *url.URL, f format, c Config, e *dependencies) *delivery {
	d := &delivery{transport: e.transport, endpoint: endpoint, format: f, attempts: attempts, timeout: c.Timeout}
	d.client = &retryablehttp.Client{
		HTTPClient:   &http.Client{Transport: d, CheckRedirect: checkRedirect},
		RetryMax:     c.Retries,
		RetryWaitMin: c.Interval / 40,
		RetryWaitMax: c.Interval,
		CheckRetry:   d.check,
		// Random, so that clients that failed together do not try again together.
		Backoff: func(least, most time.Duration, attempt int, resp *http.Response) time.Duration {
			return retryablehttp.DefaultBackoff(least, most, attempt, resp) + time.Duration(e.random()*float64(least))
		},
	}
	return d
}

// deliver sends the document and returns the endpoint's answer if it is 2xx. It makes
// attempts until due. The end of ctx ends only the wait for the next attempt.
func (d *delivery) deliver(ctx context.Context, due time.Time, document []byte) ([]byte, error) {
	d.due = due
	ctx, cancel := context.WithDeadline(ctx, due)
	defer cancel()
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, d.endpoint.String(), document)
	if err != nil {
		return nil, reasonOf(err, "the request could not be made")
	}
	req.Header = d.format.header()
	if _, err = d.client.Do(req); err != nil {
		if d.failed != nil {
			err = d.failed
		}
		return nil, reasonOf(err, "the endpoint redirects to an invalid URL")
	}
	return d.answer, nil
}

// RoundTrip makes an attempt. It ignores the cancellation of the request's context: the
// endpoint may accept an attempt that is cut off, and would then count it twice.
func (d *delivery) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithDeadline(d.attempts, d.due)
	defer cancel()
	ctx, cancel = context.WithTimeout(ctx, d.timeout)
	defer cancel()
	resp, err := d.transport.RoundTrip(req.WithContext(ctx))
	if err != nil {
		if over := ctx.Err(); over != nil {
			err = reason{over.Error(), over}
		}
		return nil, err
	}
	// The status counts, even if the body cannot be read.
	defer time.AfterFunc(bodyTime, cancel).Stop()
	d.answer, _ = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	resp.Body.Close()
	resp.Body = http.NoBody
	return resp, nil
}

// check is called after each attempt. It decides whether to make another one, and returns
// the error of this one.
func (d *delivery) check(_ context.Context, resp *http.Response, err error) (again bool, _ error) {
	switch {
	case err != nil:
		again = !errors.Is(err, errRedirect) && !errors.Is(err, errGRPC)
	case resp.StatusCode/100 != 2:
		text := http.StatusText(resp.StatusCode) // the standard one, not the endpoint's
		err = reason{text: strings.TrimSpace(fmt.Sprintf("the endpoint answered %d %s", resp.StatusCode, text))}
		again = d.format.retry(resp.StatusCode)
	}
	d.failed = err
	return again, err
}

// errRedirect ends the attempts: the next one would get the same answer.
var errRedirect = errors.New("refused a redirect")

// checkRedirect allows redirects only within the host, and never from https to http:
// whoever answers must not be able to send a report elsewhere.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first, from, to := via[0], via[len(via)-1].URL, req.URL
	same := from.Scheme == to.Scheme && strings.EqualFold(from.Host, to.Host)
	upgrade := from.Scheme == "http" && to.Scheme == "https" && strings.EqualFold(from.Hostname(), to.Hostname())
	switch {
	case !same && !upgrade:
		return reason{"refused a redirect to another host or scheme", errRedirect}
	case len(via) > maxRedirects:
		return reason{fmt.Sprintf("refused more than %d redirects", maxRedirects), errRedirect}
	case req.Response.StatusCode == http.StatusSeeOther:
		return reason{"refused a redirect by 303, which delivers nothing", errRedirect}
	}
	// After 301 and 302, net/http turns a POST into a GET, which would not deliver the
	// report. It also adds a Referer, which contains the endpoint's path.
	req.Method, req.GetBody, req.ContentLength, req.Header = first.Method, first.GetBody, first.ContentLength, first.Header.Clone()
	var err error
	req.Body, err = first.GetBody()
	return err
}
