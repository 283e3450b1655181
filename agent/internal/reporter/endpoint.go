package reporter

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// ErrUnset is what Run returns for an empty endpoint.
var ErrUnset = errors.New("the endpoint is empty")

// An InvalidEndpoint is what Run returns for an endpoint that cannot be
// reported to. It quotes nothing of it, since any part may be a secret.
type InvalidEndpoint struct{}

func (InvalidEndpoint) Error() string {
	return "reporting Go metrics: the endpoint is not an http or https URL with a host: Heroku sets HEROKU_METRICS_URL to one when the labs flag runtime-heroku-metrics is enabled"
}

// Fatal says that trying again cannot help.
func (InvalidEndpoint) Fatal() bool { return true }

func parseEndpoint(s string) (*url.URL, error) {
	if s == "" {
		return nil, ErrUnset
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, InvalidEndpoint{}
	}
	return u, nil
}

// newFailure says where a report failed: by scheme and host alone, since path, query
// and user info are credentials. err must hold none either.
func newFailure(endpoint *url.URL, err error) error {
	return fmt.Errorf("reporting Go metrics to %s://%s: %w", endpoint.Scheme, endpoint.Host, err)
}

// A reason is an error that holds nothing that came from the network: who answers
// may quote any secret that was sent, in whatever form.
type reason struct {
	text  string
	cause error // one that holds nothing of that either, or nil
}

func (r reason) Error() string { return r.text }
func (r reason) Unwrap() error { return r.cause }

// reasonOf returns what may be shown of err, which is otherwise if err is of no kind
// whose text is known to be of this side's making.
func reasonOf(err error, otherwise string) error {
	var (
		known   reason
		network *net.OpError
		invalid x509.CertificateInvalidError
		host    x509.HostnameError
	)
	switch text := err.Error(); {
	case errors.As(err, &known):
		return known
	case errors.As(err, new(x509.UnknownAuthorityError)):
		otherwise = x509.UnknownAuthorityError{}.Error()
	case errors.As(err, &invalid):
		otherwise = strings.TrimSuffix(x509.CertificateInvalidError{Reason: invalid.Reason}.Error(), ": ")
	case errors.As(err, &host):
		otherwise = "x509: the certificate is not valid for " + host.Host
	case errors.As(err, &network) && network.Op == "proxyconnect": // it may wrap anything
		otherwise = "proxyconnect: " + reasonOf(network.Err, otherwise).Error()
	case errors.As(err, &network):
		same := *network
		same.Source = nil // its port is another one each time
		return reason{same.Error(), &same}
	case strings.HasPrefix(text, "tls: "): // and after the next colon, what a certificate has wrong
		otherwise = strings.Join(strings.SplitN(text, ": ", 3)[:2], ": ")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		otherwise = "the connection was closed without an answer"
	}
	return reason{text: otherwise}
}

// status names the code of an answer: the words beside it are the endpoint's.
func status(code int) string {
	return strings.TrimSpace(strconv.Itoa(code) + " " + http.StatusText(code))
}
