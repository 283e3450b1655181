package reporter

import (
	"encoding/base64"
	"errors"
	"net/url"
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

func newFailure(endpoint *url.URL, others secrets, err error) error {
	// A *url.Error is but the URL and what happened.
	for u, ok := err.(*url.Error); ok; u, ok = err.(*url.Error) {
		err = u.Err
	}
	s := append(newSecrets(endpoint), others...)
	f := &failure{text: "reporting Go metrics to " + endpoint.Scheme + "://" + endpoint.Host + ": " + s.scrub(err.Error())}
	for f.cause = err; f.cause != nil && s.scrub(f.cause.Error()) != f.cause.Error(); {
		f.cause = errors.Unwrap(f.cause)
	}
	return f
}

// secrets are the texts that must not be seen.
type secrets []string

func newSecrets(u *url.URL) secrets {
	password, _ := u.User.Password()
	login := base64.StdEncoding.EncodeToString([]byte(u.User.Username() + ":" + password))
	s := secrets{u.Path, u.EscapedPath(), u.RequestURI(), u.User.String(), u.User.Username(), password, login}
	s = append(s, strings.Split(u.Path, "/")...)
	for _, values := range u.Query() {
		s = append(s, values...)
	}
	return s
}

// Whoever answers may quote a secret truncated: telling bytes give it away. What
// is shorter than tooShort, such as the v1 in /v1/…, is no secret and would only
// garble the text.
const telling, tooShort = 6, 4

// scrub takes out of a text what it has in common with a secret, and of any URL
// in it all that comes after the scheme: the URL of a proxy holds a password,
// the target of a redirect a path. It also takes out this side's address of a
// connection, since that makes another text of the same failure.
func (s secrets) scrub(text string) string {
	shown := []byte(text)
	for _, secret := range s {
		n := len(secret)
		if n > telling {
			n = telling
		}
		for i := 0; n >= tooShort && i+n <= len(text); i++ {
			for j := i; j < i+n && strings.Contains(secret, text[i:i+n]); j++ {
				shown[j] = 0
			}
		}
	}
	for text = string(shown); strings.Contains(text, "\x00\x00"); {
		text = strings.ReplaceAll(text, "\x00\x00", "\x00")
	}
	text = strings.ReplaceAll(text, "\x00", "…")
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n\"'`<>", r) }) {
		if i := strings.Index(word, "://"); i >= 0 {
			text = strings.Replace(text, word, word[:i]+"://…", 1)
		} else if strings.Contains(word, "@") {
			text = strings.Replace(text, word, "…", 1)
		} else if strings.HasSuffix(word, "-") {
			text = strings.Replace(text, word+">", "", 1)
		}
	}
	return text
}
