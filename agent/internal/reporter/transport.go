package reporter

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// systemRandom is Go's own rand.Reader, which an app may replace later.
var systemRandom = rand.Reader

// errHTTP2 is the error for an answer that begins with SETTINGS, as from a gRPC port.
var errHTTP2 = reason{text: "the endpoint speaks HTTP/2 unasked, as gRPC does"}

// A transport makes each request on a connection of its own, in the caller's goroutine. It
// closes the connection when the request's context ends, so every context must end. Its
// errors contain no text from the network.
//
// It replaces http.Transport, which affects the whole process: its goroutines print to the
// standard logger what an endpoint sends unasked, a panic in one of them ends the app, it
// has no timeout after a 101, and tools that trace an app's requests make spans in it.
type transport struct {
	proxy    func(*http.Request) (*url.URL, error)
	resolver *net.Resolver // the app may have changed net.DefaultResolver
	tls      *tls.Config
}

func newTransport() *transport {
	t := &transport{proxy: proxyFromEnvironment, tls: &tls.Config{
		MinVersion:         tls.VersionTLS12,
		Rand:               systemRandom,
		ClientSessionCache: tls.NewLRUClientSessionCache(1), // a resumption costs less than a full handshake
	}}
	t.resolver = &net.Resolver{Dial: t.dial}
	return t
}

func (t *transport) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Resolver: t.resolver, KeepAlive: -1}).DialContext(ctx, network, address)
	if tcp, ok := conn.(*net.TCPConn); ok {
		return withoutSignals(tcp)
	}
	return conn, err
}

// RoundTrip limits what it reads of the answer, including the body.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	secure := req.URL.Scheme == "https"
	if secure {
		if err := randomDenied(); err != nil { // crypto/tls would end the process
			return nil, reason{"no random numbers for TLS: " + err.Error(), err}
		}
	}
	if proxy, err := t.proxy(req); proxy != nil || err != nil {
		return t.standard(req)
	}
	ctx := req.Context()
	conn, err := t.dial(ctx, "tcp", net.JoinHostPort(req.URL.Hostname(), portOf(req.URL)))
	if err != nil {
		return nil, reasonOf(err, "no connection")
	}
	go func(tcp net.Conn) {
		<-ctx.Done()
		tcp.Close()
	}(conn)
	if secure {
		config := t.tls.Clone()
		config.ServerName, config.NextProtos = req.URL.Hostname(), []string{"http/1.1"}
		secured := tls.Client(conn, config)
		if err = secured.Handshake(); err != nil && strings.HasSuffix(err.Error(), "tls: no application protocol") {
			return t.standard(req)
		} else if err != nil {
			return nil, reasonOf(err, "the TLS handshake failed")
		}
		conn = secured
	}
	own := *req
	own.Close = true
	unwritten := own.Write(conn) // even then, there may be an answer
	limited := &io.LimitedReader{R: conn, N: maxAnswer}
	r := bufio.NewReaderSize(limited, 1<<10)
	start, err := r.Peek(2)
	unasked := string(start) == "\x00\x00"
	var resp *http.Response
	for more := err == nil; more; more = err == nil && resp.StatusCode/100 == 1 && resp.StatusCode != http.StatusSwitchingProtocols {
		resp, err = http.ReadResponse(r, req)
	}
	switch {
	case err == nil:
		limited.N = maxAnswer
		resp.Body = body{resp.Body, conn}
		return resp, nil
	case limited.N <= 0:
		return nil, reason{text: fmt.Sprintf("the head of the answer exceeded %d bytes", maxAnswer)}
	case unasked:
		return nil, errHTTP2
	case unwritten != nil:
		return nil, reasonOf(unwritten, "the request could not be written")
	}
	return nil, reasonOf(err, "malformed HTTP response")
}

// A body closes its connection; net/http's own would be read to its end first.
type body struct {
	io.Reader
	io.Closer
}

// standard makes requests that only http.Transport can make: through proxies, and by HTTP/2.
func (t *transport) standard(req *http.Request) (*http.Response, error) {
	resp, err := (&http.Transport{
		Proxy: t.proxy, DialContext: t.dial, TLSClientConfig: t.tls.Clone(), ForceAttemptHTTP2: true,
		DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxAnswer,
	}).RoundTrip(req)
	if err != nil {
		return nil, reasonOf(err, "no valid answer through the proxy, or by HTTP/2")
	}
	if resp.StatusCode == http.StatusSwitchingProtocols { // reading on would ignore the context
		resp.Body.Close()
	}
	return resp, nil
}
