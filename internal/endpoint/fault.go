package endpoint

import (
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

// A Fault answers a request in place of the server. The zero Fault is none: the server
// accepts the report with 200 and an empty body.
type Fault struct {
	Name string
	// Unread says that Serve gets the request before its body is read. The report is
	// never accepted then.
	Unread bool
	// Serve answers the request; if it writes nothing, the answer is 200. A 2xx status
	// accepts the report, since the sender takes it so. The request's context ends when
	// the sender disconnects or the server is closed.
	Serve func(w http.ResponseWriter, r *http.Request)
}

// An answer accepts the report when a 2xx status is written.
type answer struct {
	http.ResponseWriter
	accept func()
	done   bool
}

func (a *answer) WriteHeader(status int) {
	if a.done {
		return
	}
	a.done = true
	if status/100 == 2 {
		a.accept()
	}
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.ResponseWriter.Write(p)
}

func (a *answer) Flush() {
	if f, ok := a.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Script returns a function for Options.Fault that answers the first requests with the given
// faults in turn, and every later request without a fault.
func Script(faults ...Fault) func(Request) Fault {
	return func(Request) Fault {
		if len(faults) == 0 {
			return Fault{}
		}
		f := faults[0]
		faults = faults[1:]
		return f
	}
}

// Status answers with a status code and header lines given as key, value
// pairs. 2xx accepts the report.
func Status(code int, header ...string) Fault {
	name := strconv.Itoa(code)
	for i := 0; i+1 < len(header); i += 2 {
		name += " " + header[i] + ": " + header[i+1]
	}
	return Fault{Name: name, Serve: func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}}
}

// Redirect answers with a redirecting status code to url.
func Redirect(code int, url string) Fault {
	f := Status(code, "Location", url)
	f.Name = "redirect " + strconv.Itoa(code)
	return f
}

// BlackHole reads the request and never answers.
func BlackHole() Fault {
	return Fault{Name: "black hole", Serve: func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		panic(http.ErrAbortHandler) // returning would answer 200
	}}
}

// SlowHeaders answers 200 after d. The report is accepted if its sender waits that long.
func SlowHeaders(d time.Duration) Fault {
	return Fault{Name: "slow headers", Serve: func(w http.ResponseWriter, r *http.Request) {
		if !pause(r, d) {
			panic(http.ErrAbortHandler)
		}
	}}
}

// SlowBody answers 200 at once, and then an endless body of one byte every d.
func SlowBody(d time.Duration) Fault {
	return Fault{Name: "slow body", Serve: func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		stream(w, r, []byte("."), d)
	}}
}

// EndlessBody answers 200 and an endless body, as fast as the sender reads it.
func EndlessBody() Fault {
	return Fault{Name: "endless body", Serve: func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		stream(w, r, make([]byte, 32<<10), 0)
	}}
}

// GzipBomb answers 200 and a gigabyte of zeros compressed to a megabyte.
func GzipBomb() Fault {
	return Fault{Name: "gzip bomb", Serve: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush() // the head does not wait for the first bytes
		z := gzip.NewWriter(w)
		defer z.Close()
		zeros := make([]byte, 1<<20)
		for i := 0; i < 1<<10; i++ {
			if _, err := z.Write(zeros); err != nil || r.Context().Err() != nil {
				break
			}
		}
	}}
}

// ResetUnread resets the connection before the body is read.
func ResetUnread() Fault {
	return Fault{Name: "reset before the request was read", Unread: true, Serve: reset}
}

// ResetRead resets the connection once the request is read.
func ResetRead() Fault {
	return Fault{Name: "reset after the request was read", Serve: reset}
}

// Raw answers with the given bytes, then closes the connection. If they contain a complete
// HTTP/1.x head with a 2xx status, the report is accepted.
func Raw(name, raw string) Fault {
	return Fault{Name: name, Serve: func(w http.ResponseWriter, _ *http.Request) {
		conn := take(w)
		defer conn.Close()
		if a, ok := w.(*answer); ok && status2xx.MatchString(raw) {
			a.accept()
		}
		io.WriteString(conn, raw)
	}}
}

var status2xx = regexp.MustCompile(`(?s)^(?:HTTP/1\.1 103 [^\r]*\r\n\r\n)*HTTP/1\.[01] 2[0-9][0-9][ \r].*\r\n\r\n`)

// reset makes the kernel answer with RST.
func reset(w http.ResponseWriter, _ *http.Request) {
	conn := take(w)
	if c, ok := conn.(interface{ NetConn() net.Conn }); ok { // *tls.Conn
		conn = c.NetConn()
	}
	if c, ok := conn.(interface{ SetLinger(int) error }); ok {
		c.SetLinger(0)
	}
	conn.Close()
}

// take takes over the connection from net/http.
func take(w http.ResponseWriter) net.Conn {
	if a, ok := w.(*answer); ok {
		a.done = true
		w = a.ResponseWriter
	}
	if h, ok := w.(http.Hijacker); ok {
		if conn, _, err := h.Hijack(); err == nil {
			return conn
		}
	}
	panic(http.ErrAbortHandler)
}

// stream sends chunks, d apart, until the sender of the request disconnects.
func stream(w http.ResponseWriter, r *http.Request, chunk []byte, d time.Duration) {
	for {
		if _, err := w.Write(chunk); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		if !pause(r, d) {
			return
		}
	}
}

// pause waits for d. It returns false if the request ended meanwhile.
func pause(r *http.Request, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
		return false
	}
}
