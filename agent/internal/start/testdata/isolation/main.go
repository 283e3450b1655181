// Command isolation reads a line, sets what the standard library reads once per
// process, and prints the global state of its process once its standard input
// ends, and its goroutines but the main one. With the variable TRAPS it sets traps.
package main

import (
	"bufio"
	"crypto/x509"
	"expvar"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	_ "github.com/hmetrics/heroku-buildpack-go-metrics/agent/internal/start/testdata/isolation/early"
)

func main() {
	if os.Getenv("TRAPS") != "" {
		runWithTraps()
		return
	}
	in := bufio.NewReader(os.Stdin)
	in.ReadString('\n')
	os.Setenv("HTTP_PROXY", "http://proxy.invalid")
	os.Setenv("TZ", "Asia/Tokyo")
	os.Setenv("SSL_CERT_FILE", os.Getenv("CERTIFICATE"))
	os.Setenv("SSL_CERT_DIR", "/nonexistent")
	io.Copy(io.Discard, in)

	r, err := http.NewRequest("GET", "http://example.com/", nil)
	if err != nil {
		panic(err)
	}
	proxy, err := http.ProxyFromEnvironment(r)
	fmt.Println("proxy", proxy, err)
	roots, err := x509.SystemCertPool()
	fmt.Println("certificate roots", len(roots.Subjects()), err)
	fmt.Println("time zone", time.Unix(0, 0))
	fmt.Printf("http.DefaultClient %+v\n", *http.DefaultClient)
	tr := http.DefaultTransport.(*http.Transport)
	fmt.Printf("http.DefaultTransport proxy %v, dial %v, TLS %v, h2 %v, next %d, idle %d %d %v, conns %d, compression %v, keepalives %v, %v %v %v %d\n",
		tr.Proxy != nil, tr.DialContext != nil, tr.TLSClientConfig, tr.ForceAttemptHTTP2, len(tr.TLSNextProto), tr.MaxIdleConns, tr.MaxIdleConnsPerHost, tr.IdleConnTimeout,
		tr.MaxConnsPerHost, tr.DisableCompression, tr.DisableKeepAlives, tr.TLSHandshakeTimeout, tr.ResponseHeaderTimeout, tr.ExpectContinueTimeout, tr.MaxResponseHeaderBytes)
	for _, path := range []string{"/", "/debug/vars", "/debug/pprof/", "/metrics"} {
		r, err := http.NewRequest("GET", "http://localhost"+path, nil)
		if err != nil {
			panic(err)
		}
		_, pattern := http.DefaultServeMux.Handler(r)
		fmt.Printf("http.DefaultServeMux %s: %q\n", path, pattern)
	}
	fmt.Printf("log flags %d, prefix %q, to stderr %v\n", log.Flags(), log.Prefix(), log.Writer() == os.Stderr)
	flag.VisitAll(func(f *flag.Flag) { fmt.Println("flag", f.Name) })
	expvar.Do(func(v expvar.KeyValue) { fmt.Println("expvar", v.Key) })
	for s := syscall.Signal(1); s < 32; s++ {
		fmt.Printf("signal %d ignored %v\n", s, signal.Ignored(s))
	}
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if strings.HasPrefix(line, "Sig") && !strings.HasPrefix(line, "SigQ") && !strings.HasPrefix(line, "SigPnd") { // what is pending comes and goes
			fmt.Println(line)
		}
	}
	fmt.Printf("environment %q\n", os.Environ())
	dir, _ := os.Getwd()
	fmt.Println("directory", dir)
	fmt.Println("GOMAXPROCS", runtime.GOMAXPROCS(0))
	fmt.Println("GC percent", debug.SetGCPercent(100))
	fmt.Println("max stack", debug.SetMaxStack(1<<20), "max threads", debug.SetMaxThreads(1000))
	fmt.Println("profile rates", runtime.MemProfileRate, runtime.SetMutexProfileFraction(-1))

	buf := make([]byte, 1<<20)
	for i, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if i > 0 {
			fmt.Fprintln(os.Stderr, g)
		}
	}
}
