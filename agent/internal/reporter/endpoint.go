package reporter

import (
	"errors"
	"net/url"
	"sort"
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

// A failure says why a report could not be made or delivered. Neither its
// text nor that of an error it wraps holds the path, query or user info of
// the endpoint, which are credentials.
type failure struct {
	text  string
	cause error // nil if none is free of secrets
}

func (f *failure) Error() string { return f.text }
func (f *failure) Unwrap() error { return f.cause }

func newFailure(endpoint *url.URL, err error) error {
	// A *url.Error is but the URL and what happened.
	for {
		u, ok := err.(*url.Error)
		if !ok {
			break
		}
		err = u.Err
	}
	s := newSecrets(endpoint)
	f := &failure{text: "reporting Go metrics to " + origin(endpoint) + ": " + s.scrub(err.Error())}
	for f.cause = err; f.cause != nil && s.scrub(f.cause.Error()) != f.cause.Error(); {
		f.cause = errors.Unwrap(f.cause)
	}
	return f
}

// origin is the part of a URL that may be shown.
func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// secrets are the texts that must not be seen, the longest first.
type secrets []string

func newSecrets(u *url.URL) secrets {
	// Whole parts, as an error or an answer may quote them. A part of them is
	// secret too, unless it is too short to be one and would only garble the
	// text, such as the v1 in /v1/….
	whole := []string{u.Path, u.EscapedPath(), u.RequestURI(), u.RawQuery, u.User.String()}
	password, _ := u.User.Password()
	parts := append(strings.Split(u.Path+"/"+u.EscapedPath(), "/"), u.User.Username(), password)
	for _, values := range u.Query() {
		parts = append(parts, values...)
	}
	var s secrets
	for i, word := range append(whole, parts...) {
		if len(word) >= 4 || i < len(whole) && len(word) >= 2 {
			s = append(s, word)
		}
	}
	sort.Slice(s, func(i, j int) bool { return len(s[i]) > len(s[j]) })
	return s
}

// scrub takes the secrets out of a text, and of any URL in it all that comes
// after the scheme: the URL of a proxy holds a password, the target of a
// redirect a path.
func (s secrets) scrub(text string) string {
	for _, secret := range s {
		text = strings.ReplaceAll(text, secret, "…")
	}
	separator := func(r rune) bool { return strings.ContainsRune(" \t\r\n\"'`<>", r) }
	var b strings.Builder
	for text != "" {
		n := strings.IndexFunc(text, separator)
		if n < 0 {
			n = len(text)
		}
		word := text[:n]
		if i := strings.Index(word, "://"); i >= 0 {
			word = word[:i] + "://…"
		} else if strings.Contains(word, "@") {
			word = "…"
		}
		b.WriteString(word)
		text = text[n:]
		if text != "" { // separators are single bytes
			b.WriteByte(text[0])
			text = text[1:]
		}
	}
	return b.String()
}
