package reporter

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// An endpoint that has only HTTP/2 gets HTTP/2.
func TestHTTP2WhereThereIsNothingElse(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if body, _ := io.ReadAll(r.Body); r.ProtoMajor != 2 || string(body) != "{}" {
			t.Errorf("%s, %q", r.Proto, body)
		}
	}))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{}
	s.TLS.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		c := s.TLS.Clone()
		c.GetConfigForClient, c.NextProtos = nil, []string{"h2"}
		if strings.Join(hello.SupportedProtos, " ") == "http/1.1" {
			c.NextProtos = []string{"another"} // with h2 alone, crypto/tls would go on without a protocol
		}
		return c, nil
	}
	s.StartTLS()
	defer s.Close()
	tr := newTransport()
	tr.tls.RootCAs = x509.NewCertPool()
	tr.tls.RootCAs.AddCert(s.Certificate())
	resp, err := post(t, tr, s.URL)
	if err != nil || resp.StatusCode != 200 {
		t.Errorf("%v, %v", resp, err)
	}
}

// Requests go through a SOCKS proxy.
func TestProxyBySOCKS(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() { // RFC 1928
		client, err := ln.Accept()
		if err != nil {
			return
		}
		defer client.Close()
		server, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			return
		}
		io.ReadFull(client, make([]byte, 3))
		client.Write([]byte{5, 0})
		io.ReadFull(client, make([]byte, 4+1+len("metrics.test")+2))
		client.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
		go io.Copy(server, client)
		io.Copy(client, server)
	}()
	tr := newTransport()
	tr.proxy = http.ProxyURL(&url.URL{Scheme: "socks5", Host: ln.Addr().String()})
	if resp, err := post(t, tr, "http://metrics.test"); err != nil || resp.StatusCode != 200 {
		t.Errorf("%v, %v", resp, err)
	}
}

func post(t *testing.T, tr *transport, url string) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "POST", url, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	return tr.RoundTrip(req)
}
