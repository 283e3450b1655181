package endpoint

import (
	"crypto/tls"
	"encoding/pem"
	"net/http/httptest"
	"os"
)

// SelfSigned returns Options.TLS for a server that clients trust if they read this file, which
// it writes: the server's certificate in PEM, as for SSL_CERT_FILE.
func SelfSigned(file string) (*tls.Config, error) {
	srv := httptest.NewTLSServer(nil) // for its certificate
	srv.Close()
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	return srv.TLS, os.WriteFile(file, certificate, 0o666)
}
