//go:build go1.21

package start

import (
	"strings"
	"testing"
)

// agent/README.md names this limit: TLS draws from a rand.Reader that an init function set
// before the agent's package was initialized. Since Go 1.21, import paths decide that order.
func TestDrawsFromAReaderThatIsSetEarly(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := run(t, programs.with, "EARLY_READER=1", "HEROKU_METRICS_URL="+strings.Replace(s.URL("web.1"), "http", "https", 1), "HMETRICS_INTERVAL=1s", "HMETRICS_VERBOSE=1")
	if line := p.line(); !strings.HasSuffix(line, ": tls: short read from Rand (intervals pending: 1)") {
		t.Errorf("logged %q", line)
	}
	p.end()
}
