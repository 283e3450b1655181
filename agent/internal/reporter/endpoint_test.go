package reporter

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestInvalidEndpoints(t *testing.T) {
	for _, s := range []string{
		"secret", "/secret", "//host/secret", "host:80/secret", "ftp://host/secret", "https:///secret", "https:secret",
		"https://:443/secret", "http://host:port/secret", "http://ho st/secret", "http://host/secret\n", "://host/secret", "http://[::1/secret", "http://host/%zz-secret",
	} {
		_, err := parseEndpoint(s)
		var invalid InvalidEndpoint
		if !errors.As(err, &invalid) || !invalid.Fatal() {
			t.Errorf("%q: %v", s, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q is quoted: %v", s, err)
		}
	}
	if _, err := parseEndpoint(""); err != ErrUnset {
		t.Errorf("empty: %v", err)
	}
}

// Of any error, only text from this side is shown, and nothing else can be unwrapped.
func TestReasonsHoldNothingFromTheNetwork(t *testing.T) {
	const quoted = "quoted"
	certificate := &x509.Certificate{DNSNames: []string{quoted}, Subject: pkix.Name{CommonName: quoted}}
	address, source := &net.TCPAddr{IP: net.IP{127, 0, 0, 1}, Port: 80}, &net.TCPAddr{IP: net.IP{127, 0, 0, 1}, Port: 41234}
	for _, c := range []struct {
		err  error
		want string
	}{
		{errors.New(quoted), "otherwise"},
		{io.ErrUnexpectedEOF, "the connection was closed without an answer"},
		{&net.OpError{Op: "dial", Net: "tcp", Addr: address, Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, "dial tcp 127.0.0.1:80: connect: connection refused"},
		{&net.OpError{Op: "read", Net: "tcp", Source: source, Addr: address, Err: os.NewSyscallError("read", syscall.ECONNRESET)}, "read tcp 127.0.0.1:80: read: connection reset by peer"},
		{&net.DNSError{Err: "no such host", Name: "example.com"}, "otherwise"}, // the dialer wraps it
		{x509.UnknownAuthorityError{Cert: certificate}, "x509: certificate signed by unknown authority"},
		{x509.HostnameError{Certificate: certificate, Host: "example.com"}, "x509: the certificate is not valid for example.com"},
		{x509.CertificateInvalidError{Cert: certificate, Reason: x509.Expired, Detail: quoted}, "x509: certificate has expired or is not yet valid"},
		{x509.CertificateInvalidError{Cert: certificate, Reason: x509.TooManyIntermediates}, "x509: too many intermediates for path length constraint"},
		{errors.New("tls: server selected unsupported protocol version 301"), "tls: server selected unsupported protocol version 301"},
		{errors.New("tls: failed to parse certificate from server: x509: cannot parse dnsName \"quoted\""), "tls: failed to parse certificate from server"},
		{reason{text: "ours"}, "ours"},
	} {
		err := reasonOf(&url.Error{Op: "Post", URL: "http://example.com/" + quoted, Err: fmt.Errorf("%s: %w", quoted, c.err)}, "otherwise")
		if strings.HasPrefix(c.err.Error(), "tls: ") {
			err = reasonOf(c.err, "otherwise")
		}
		if err.Error() != c.want {
			t.Errorf("of %q\n got %q\nwant %q", c.err, err, c.want)
		}
		for ; err != nil; err = errors.Unwrap(err) {
			if text := fmt.Sprintf("%+v %#v", err, err); strings.Contains(text, quoted) {
				t.Errorf("%q holds what was quoted: %s", c.err, text)
			}
		}
	}
}

// A failure can be unwrapped.
func TestFailureWraps(t *testing.T) {
	u, _ := parseEndpoint("https://user@example.com/0123456789")
	err := newFailure(u, reasonOf(&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, ""))
	if got, want := err.Error(), "reporting Go metrics to https://example.com: dial: connect: connection refused"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("the cause of %q is lost", err)
	}
}

// Every endpoint is either refused with an error that quotes nothing, or valid, and no failure
// shows its secrets.
func FuzzEndpoint(f *testing.F) {
	for _, s := range []string{"", "https://user:password@example.com/secret-path?secret=query", "http://[::1]:80/a@b/c://d", "HTTP://h/%2F%20secret", "http://h?secretquery", "http://a@b@c/secret", "http://h/\u00e9t\u00e9-secret"} {
		f.Add(s)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // one attempt
	f.Fuzz(func(t *testing.T, s string) {
		u, err := parseEndpoint(s)
		if err != nil {
			if err != ErrUnset && err != (InvalidEndpoint{}) {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		d := newDelivery(context.Background(), u, &heroku{}, Config{Interval: time.Second, Timeout: time.Second}, &dependencies{
			transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
				return nil, fmt.Errorf("%s %s %s %s %q", r.URL, r.URL.Path, r.URL.RequestURI(), r.URL.User, r.URL.Query())
			}),
			random: random,
		})
		_, err = d.deliver(ctx, time.Now().Add(time.Hour), []byte("{}"))
		if err == nil {
			t.Fatal("no failure")
		}
		text := strings.TrimPrefix(newFailure(u, err).Error(), "reporting Go metrics to "+u.Scheme+"://"+u.Host)
		secrets := []string{u.Path, u.RawQuery}
		if p, ok := u.User.Password(); ok {
			secrets = append(secrets, p, u.User.Username())
		}
		for _, secret := range secrets {
			if len(secret) > 12 && strings.Contains(text, secret) {
				t.Errorf("%q: %q holds %q", s, text, secret)
			}
		}
	})
}
