package reporter

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// exportUntil exports as the environment says until stop returns true, and returns the
// failures and whether the last export was acknowledged.
func exportUntil(t *testing.T, stop func(failures []string) bool, set ...string) (failures []string, delivered bool) {
	t.Helper()
	withOTLP(t, append(set, "OTEL_METRIC_EXPORT_INTERVAL=300", "HMETRICS_VERBOSE=1")...)
	r, o := OTLP(FromEnvironment(), "")
	if o.Off != "" {
		t.Fatal(o.Off)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	end := func() {
		if stop(failures) {
			cancel()
		}
	}
	o.Failed = func(err error) error {
		delivered, failures = false, append(failures, err.Error())
		end()
		return nil
	}
	o.Delivered = func() { delivered = true; end() }
	if err := r.Run(ctx, o); err != nil {
		t.Fatal(err)
	}
	return failures, delivered
}

func once([]string) bool { return true }

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "x.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// secured is a server that speaks only HTTP/2 and can require a client certificate. The
// variables are those that a client needs.
func secured(t *testing.T, mutual bool) (_ *httptest.Server, requests *int32, ca, certificate, key string) {
	a := newAuthority(t)
	requests = new(int32)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if atomic.AddInt32(requests, 1); r.ProtoMajor != 2 {
			t.Errorf("a request by %s", r.Proto)
		}
		io.Copy(io.Discard, r.Body)
	}))
	s.TLS, s.EnableHTTP2 = a.config(t, nil), true
	s.TLS.ClientCAs = a.pool
	if mutual {
		s.TLS.ClientAuth = tls.RequireAndVerifyClientCert
	}
	h2, none := s.TLS.Clone(), s.TLS.Clone()
	h2.NextProtos, none.NextProtos = []string{"h2"}, []string{"none"} // crypto/tls lets http/1.1 pass for h2
	s.TLS.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if strings.Contains(strings.Join(hello.SupportedProtos, " "), "h2") {
			return h2, nil
		}
		return none, nil
	}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	client := a.config(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }).Certificates[0]
	der, err := x509.MarshalPKCS8PrivateKey(client.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return s, requests, "_CERTIFICATE=" + writePEM(t, "CERTIFICATE", a.cert.Raw), "_CLIENT_CERTIFICATE=" + writePEM(t, "CERTIFICATE", client.Certificate[0]), "_CLIENT_KEY=" + writePEM(t, "PRIVATE KEY", der)
}

func TestCertificates(t *testing.T) {
	s, requests, ca, certificate, key := secured(t, true)
	endpoint := "_ENDPOINT=" + s.URL
	if failures, delivered := exportUntil(t, once, endpoint, ca, certificate, key); !delivered {
		t.Errorf("failed: %q", failures)
	}
	if n := atomic.LoadInt32(requests); n == 0 {
		t.Error("no request")
	}
	// Those for metrics win.
	none := "/no/such.pem"
	if failures, delivered := exportUntil(t, once, endpoint, "_CERTIFICATE="+none, "_CLIENT_KEY="+none, certificate,
		strings.Replace(ca, "_", "_METRICS_", 1), strings.Replace(key, "_", "_METRICS_", 1)); !delivered {
		t.Errorf("failed: %q", failures)
	}
	if failures, delivered := exportUntil(t, once, endpoint, ca); delivered || len(failures) == 0 {
		t.Error("a client without a certificate was let in")
	}
}

// Until the file of authorities can be read, nothing is sent.
func TestAnAuthorityThatCannotBeRead(t *testing.T) {
	s, requests, ca, _, _ := secured(t, false)
	good, err := os.ReadFile(strings.TrimPrefix(ca, "_CERTIFICATE="))
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "late.pem")
	content := []byte("no PEM")
	failures, delivered := exportUntil(t, func(failures []string) bool {
		if n := atomic.LoadInt32(requests); n > 0 {
			return true
		}
		if len(failures) > 1 {
			content = good
		}
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Error(err)
		}
		return false
	}, "_METRICS_ENDPOINT="+s.URL, "_METRICS_CERTIFICATE="+name)
	if !delivered || len(failures) != 2 {
		t.Errorf("delivered %v after %q", delivered, failures)
	}
	for _, f := range failures {
		if !strings.Contains(f, "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE must be a file") {
			t.Errorf("failed: %s", f)
		}
	}
}

// A server that needs no client certificate is reached without one, and the log says so.
func TestAClientCertificateThatCannotBeRead(t *testing.T) {
	var logged bytes.Buffer
	log.SetOutput(&logged)
	defer log.SetOutput(os.Stderr)
	s, _, ca, certificate, _ := secured(t, false)
	if failures, delivered := exportUntil(t, once, "_ENDPOINT="+s.URL, ca, certificate); !delivered {
		t.Errorf("failed: %q", failures)
	}
	if want := "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY must be files"; strings.Count(logged.String(), want) != 1 {
		t.Errorf("logged %q", logged.String())
	}
}

// A gRPC port gets one attempt per interval, and the log names the port for HTTP.
func TestTheEndpointSpeaksGRPC(t *testing.T) {
	check := func(t *testing.T, attempts *int32, failures []string) {
		t.Helper()
		if n := int(atomic.LoadInt32(attempts)); len(failures) < 2 || n != len(failures) {
			t.Errorf("%d attempts in intervals that ended with %q", n, failures)
		}
		for _, f := range failures {
			if !strings.Contains(f, "gRPC") || !strings.Contains(f, "4318") {
				t.Errorf("failed: %s", f)
			}
		}
	}
	t.Run("in the clear", func(t *testing.T) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		attempts := new(int32)
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					io.Copy(io.Discard, r.Body)
				}
				n := atomic.AddInt32(attempts, 1)
				settings := []string{"\x00\x00\x00\x04\x00\x00\x00\x00\x00", "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00", "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x06\x00\x0a\x0d\x0a"}
				io.WriteString(c, settings[int(n)%len(settings)])
				c.Close()
			}
		}()
		failures, _ := exportUntil(t, func(failures []string) bool { return len(failures) == 3 }, "_ENDPOINT=http://"+ln.Addr().String())
		check(t, attempts, failures)
	})
	for name, status := range map[string]int{"by TLS, 415": 415, "by TLS, 200": 200, "by TLS, 503": 503} {
		t.Run(name, func(t *testing.T) {
			a, attempts := newAuthority(t), new(int32)
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				atomic.AddInt32(attempts, 1)
				w.Header().Set("Content-Type", "application/grpc+proto")
				w.WriteHeader(status)
			}))
			s.TLS, s.EnableHTTP2 = a.config(t, nil), true
			s.StartTLS()
			defer s.Close()
			failures, _ := exportUntil(t, func(failures []string) bool { return len(failures) == 2 }, "_ENDPOINT="+s.URL, "_CERTIFICATE="+writePEM(t, "CERTIFICATE", a.cert.Raw))
			check(t, attempts, failures)
		})
	}
}
