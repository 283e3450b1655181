package reporter

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
)

// ErrUnset is the error that Run returns for an empty endpoint.
var ErrUnset = errors.New("the endpoint is empty")

// An InvalidEndpoint is the error that Run returns for an endpoint that is not an http or
// https URL. It quotes nothing of the endpoint, since any part may be a secret.
type InvalidEndpoint struct{}

func (InvalidEndpoint) Error() string {
	return "reporting Go metrics: the endpoint is not an http or https URL with a host: Heroku sets HEROKU_METRICS_URL to one when the labs flag runtime-heroku-metrics is enabled"
}

// Fatal returns true: trying again cannot help.
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

// newFailure adds the endpoint to an error: only its scheme and host, since path, query
// and user info are credentials. err must not contain credentials either.
func newFailure(endpoint *url.URL, err error) error {
	return fmt.Errorf("reporting Go metrics to %s://%s: %w", endpoint.Scheme, endpoint.Host, err)
}

// A reason is an error without text from the network: whoever answers may quote any secret
// that was sent, in any form.
type reason struct {
	text  string
	cause error // without such text either, or nil
}

func (r reason) Error() string { return r.text }
func (r reason) Unwrap() error { return r.cause }

// reasonOf returns what may be shown of err: its text if that is known to come from this
// side, and otherwise if not.
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
		same.Source = nil // its port changes each time
		return reason{same.Error(), &same}
	case strings.HasPrefix(text, "tls: "): // after the next colon, it quotes the certificate
		otherwise = strings.Join(strings.SplitN(text, ": ", 3)[:2], ": ")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		otherwise = "the connection was closed without an answer"
	}
	return reason{text: otherwise}
}
