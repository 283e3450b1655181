package reporter

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestEndpointsThatWillNotDo(t *testing.T) {
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

func TestScrub(t *testing.T) {
	u, err := parseEndpoint("https://user:pass%20word@example.com/v1/0123-abc%2F?key=token99")
	if err != nil {
		t.Fatal(err)
	}
	s := newSecrets(u)
	for text, want := range map[string]string{
		"dial tcp 127.0.0.1:80: connect: connection refused":                    "dial tcp 127.0.0.1:80: connect: connection refused",
		`Post "https://example.com/v1/other": EOF`:                              `Post "https://…": EOF`,
		"read tcp 127.0.0.1:41234->127.0.0.1:80: read: EOF":                     "read tcp 127.0.0.1:80: read: EOF",
		"proxy http://u:p@proxy:3128 is down":                                   "proxy http://… is down",
		"invalid address u:p@proxy":                                             "invalid address …",
		"no 0123-abc here, nor 0123-abc%2F, nor token99, nor pass word, nor v1": "no … here, nor …, nor …, nor …, nor v1",
		"no 0123-ab here, nor dXNlcjpwYXNzIHdvcmQ=, nor dXNlcjp, nor oken99":    "no … here, nor …, nor …, nor …",
		`malformed "/v1/0123-abc/"`:                                             `malformed "…"`,
		`malformed "/v1/0123-abc%2F?key=token99"`:                               `malformed "…"`,
	} {
		if got := s.scrub(text); got != want {
			t.Errorf("scrub(%q)\n got %q\nwant %q", text, got, want)
		}
	}
}

// What a failure wraps can still be asked for, but for what holds a secret.
func TestFailureWraps(t *testing.T) {
	u, _ := parseEndpoint("https://example.com/0123456789")
	clean := errors.New("clean")
	err := newFailure(u, nil, &url.Error{Op: "Post", URL: u.String(), Err: fmt.Errorf("at /0123456789: %w", fmt.Errorf("once: %w", clean))})
	if !errors.Is(err, clean) {
		t.Error("the cause is gone")
	}
	if got, want := err.Error(), "reporting Go metrics to https://example.com: at …: once: clean"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := errors.Unwrap(err).Error(); got != "once: clean" {
		t.Errorf("wraps %q", got)
	}
	if !errors.Is(newFailure(u, nil, &url.Error{Err: context.DeadlineExceeded}), context.DeadlineExceeded) {
		t.Error("the deadline is gone")
	}
}

// Whatever the endpoint, it is refused in words that quote nothing, or it can
// be reported to, and no failure shows its secrets.
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
		d := newDelivery(context.Background(), u, &heroku{}, Config{Interval: time.Second, Timeout: time.Second}, &edges{
			transport: roundTripFunc(func(r *http.Request) (*http.Response, error) {
				return nil, fmt.Errorf("%s %s %s %s %q", r.URL, r.URL.Path, r.URL.RequestURI(), r.URL.User, r.URL.Query())
			}),
			random: random,
		})
		_, err = d.deliver(ctx, time.Now().Add(time.Hour), []byte("{}"))
		if err == nil {
			t.Fatal("no failure")
		}
		text := strings.TrimPrefix(newFailure(u, nil, err).Error(), "reporting Go metrics to "+u.Scheme+"://"+u.Host)
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
