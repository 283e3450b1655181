package fleet

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
)

// A balancer hands requests on to a Collector, or makes them fail.
type balancer struct {
	*httptest.Server
	collector atomic.Value // its address
	fault     atomic.Int64 // a status that it answers itself, gone, or 0
}

// gone has a balancer close each connection without an answer.
const gone = 1

func newBalancer() *balancer {
	b := &balancer{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: b.collector.Load().(string)})
		},
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		ErrorLog:     log.New(io.Discard, "", 0),
	}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch fault := int(b.fault.Load()); fault {
		case 0:
			proxy.ServeHTTP(w, r)
		case gone:
			panic(http.ErrAbortHandler)
		default:
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(fault)
		}
	}))
	return b
}
