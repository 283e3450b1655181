// Package page shows in a browser what an endpoint receives: charts of each
// process, outages, the reports as they came, and whether counts are lost. Its
// buttons make the endpoint fail.
//
// Scripts draw the charts, with uPlot, and keep the page up to date by one stream
// of server-sent events. Without them the page shows the same values in a table,
// and its buttons work. It loads nothing from elsewhere.
package page

import (
	"bytes"
	"context"
	"embed"
	"fmt"
	"html/template"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
)

// MaxProcesses is how many processes a Page shows.
const MaxProcesses = 32

const (
	maxStreams = 512 // browsers that are kept up to date at a time
)

// Options shape a Page. Server is required.
type Options struct {
	// Addr is the TCP address to listen on. The default is a free port of
	// 127.0.0.1.
	Addr string
	// Listener is used in place of Addr if it is not nil.
	Listener net.Listener
	// Server is the endpoint whose attempts and reports are shown, from now on.
	Server *endpoint.Server
	// Switch is what the buttons set. Without it there are none.
	Switch *endpoint.Switch
	// Processes are shown from the start, in this order; others as soon as they
	// report. Of all of them, 32 are shown.
	Processes []string
}

// A Page is served until it is closed.
type Page struct {
	opts   Options
	ln     net.Listener
	http   *http.Server
	ctx    context.Context
	cancel context.CancelFunc
	stop   []func()
	pace   time.Duration // between two updates of a browser
	slow   time.Duration // how long a browser may take for an update

	mu        sync.Mutex
	processes []*process
	byName    map[string]*process
	unshown   map[string]bool // names beyond MaxProcesses, up to as many again
	changed   chan struct{}   // closed and replaced at each change
	streams   int
}

// A process is what is known of one that reports. It is guarded by Page.mu.
type process struct {
	index    int
	name     string
	version  int // grows with each change
	history  history
	delivery Delivery
	last     endpoint.Attempt // the newest one
}

// Start serves the page of an endpoint.
func Start(o Options) (*Page, error) {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	ln := o.Listener
	if ln == nil {
		var err error
		if ln, err = net.Listen("tcp", o.Addr); err != nil {
			return nil, fmt.Errorf("serving the endpoint's page: %w", err)
		}
	}
	p := &Page{opts: o, ln: ln, byName: map[string]*process{}, unshown: map[string]bool{}, changed: make(chan struct{}), pace: 250 * time.Millisecond, slow: 5 * time.Second}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.mu.Lock()
	for _, name := range o.Processes {
		p.process(name)
	}
	p.mu.Unlock()
	p.stop = append(p.stop, o.Server.OnAttempt(p.attempt), o.Server.OnReport(p.accept))
	p.http = &http.Server{
		Handler:           guard(http.HandlerFunc(p.serve)),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(io.Discard, "", 0), // browsers go away
		// What the system holds for a browser that does not read would grow to
		// megabytes.
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if c, ok := c.(*net.TCPConn); ok {
				c.SetWriteBuffer(128 << 10)
			}
			return ctx
		},
	}
	go p.http.Serve(ln)
	return p, nil
}

// URL returns the address of the page.
func (p *Page) URL() string {
	host, port, _ := net.SplitHostPort(p.ln.Addr().String())
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + "/"
}

// Close tells the browsers that this is the end, and stops serving.
func (p *Page) Close() error {
	for _, stop := range p.stop {
		stop()
	}
	p.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if p.http.Shutdown(ctx) == nil {
		return nil
	}
	return p.http.Close()
}

// process returns the named process, or nil if there are too many. The caller
// holds mu.
func (p *Page) process(name string) *process {
	proc := p.byName[name]
	switch {
	case proc != nil:
	case len(p.processes) < MaxProcesses:
		proc = &process{index: len(p.processes), name: name}
		p.processes = append(p.processes, proc)
		p.byName[name] = proc
	case len(p.unshown) < MaxProcesses:
		p.unshown[name] = true
	}
	return proc
}

// update changes the named process and tells everybody.
func (p *Page) update(name string, change func(*process)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if proc := p.process(name); proc != nil {
		change(proc)
		proc.version++
	}
	p.announce()
}

// announce tells the streams that there is something new. The caller holds mu.
func (p *Page) announce() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Page) attempt(a endpoint.Attempt) {
	p.update(a.Process, func(proc *process) {
		proc.delivery.Attempt(a)
		proc.last = a
	})
}

func (p *Page) accept(r endpoint.Report) {
	p.update(r.Process, func(proc *process) {
		proc.delivery.Accept(r)
		proc.history.add(r)
	})
}

// A figure is a chart of each process: one metric, or two of the same unit. Names
// are those of Heroku's documentation.
type figure struct {
	ID, Name string
	Is       string // what a newcomer would ask
	Counter  bool   // shown as a rate; otherwise as it was when the report was made
	Unit     string // bytes, count or ns, for page.js
	Lines    []line
}

// A line is a metric in a figure.
type line struct{ Name, Key string }

// figures are in the order of the page.
var figures = []figure{
	{ID: "heap", Name: "Heap memory usage", Is: "allocated heap objects, and the heap size at which the next collection starts", Unit: "bytes", Lines: []line{{"heap", "heap"}, {"goal", "goal"}}},
	{ID: "gcs", Name: "GC collection count", Is: "garbage collections", Counter: true, Unit: "count", Lines: []line{{"collections", "collections"}}},
	{ID: "pause", Name: "GC stop-the-world time", Is: "time in which the garbage collector stopped the process", Counter: true, Unit: "ns", Lines: []line{{"stopped", "pause"}}},
	{ID: "stack", Name: "Stack memory usage", Is: "stack spans in use", Unit: "bytes", Lines: []line{{"stack", "stack"}}},
	{ID: "objects", Name: "Heap object count", Is: "live heap objects", Unit: "count", Lines: []line{{"objects", "objects"}}},
	{ID: "goroutines", Name: "Goroutine count", Is: "running and waiting goroutines", Unit: "count", Lines: []line{{"goroutines", "goroutines"}}},
}

// Of uPlot, uplot holds version 1.6.32 from npm: what is in its dist, unchanged.
//
//go:embed page.html page.css page.js icon.svg uplot
var files embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"bytes": endpoint.Bytes, "count": endpoint.Count, "duration": endpoint.Duration, "clock": clock, "ago": ago, "lasted": lasted, "stamp": stamp,
}).ParseFS(files, "page.html"))

// serve answers the requests that guard lets pass.
func (p *Page) serve(w http.ResponseWriter, r *http.Request) {
	method := http.MethodGet
	var h http.HandlerFunc
	switch path := r.URL.Path; path {
	case "/":
		h = p.serveIndex
	case "/live":
		h = p.serveLive
	case "/reports":
		h = p.serveReports
	case "/report":
		h = p.serveReport
	case "/fault":
		method, h = http.MethodPost, p.serveFault
	case "/page.css", "/page.js", "/icon.svg", "/favicon.ico", "/uplot/uPlot.iife.min.js", "/uplot/uPlot.min.css":
		if path == "/favicon.ico" {
			path = "/icon.svg" // where browsers look if a page is not of HTML
		}
		h = func(w http.ResponseWriter, r *http.Request) {
			b, _ := files.ReadFile(path[1:])
			http.ServeContent(w, r, path, time.Time{}, bytes.NewReader(b))
		}
	default:
		http.NotFound(w, r)
		return
	}
	if r.Method != method && !(method == http.MethodGet && r.Method == http.MethodHead) {
		w.Header().Set("Allow", method)
		http.Error(w, "This takes "+method+" only.", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	h(w, r)
}

func (p *Page) serveIndex(w http.ResponseWriter, r *http.Request) {
	u := p.news(view{})
	p.mu.Lock()
	var list []map[string]interface{}
	for _, proc := range p.processes {
		list = append(list, proc.data())
	}
	p.mu.Unlock()
	render(w, "page", map[string]interface{}{
		"Processes": list, "Switch": p.opts.Switch != nil, "Faults": u.Faults, "Notes": u.Processes,
	})
}

// serveReports lists all reports of a process that are kept, the newest first.
func (p *Page) serveReports(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	proc := p.find(r.URL.Query())
	if proc == nil {
		p.mu.Unlock()
		http.Error(w, "No such process.", http.StatusNotFound)
		return
	}
	data := map[string]interface{}{"Name": proc.name, "Process": proc.index, "Rows": proc.history.newest(keepReports)}
	p.mu.Unlock()
	render(w, "reports", data)
}

// serveReport sends a report's document as it came.
func (p *Page) serveReport(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.URL.Query().Get("n"))
	p.mu.Lock()
	var report endpoint.Report
	ok := false
	if proc := p.find(r.URL.Query()); proc != nil {
		report, ok = proc.history.get(n)
	}
	p.mu.Unlock()
	if !ok {
		http.Error(w, "No such report, or it is not kept any more.", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(report.Body)
}

// find returns the process that a query names by its place. The caller holds mu.
func (p *Page) find(q url.Values) *process {
	i, err := strconv.Atoi(q.Get("process"))
	if err != nil || i < 0 || i >= len(p.processes) {
		return nil
	}
	return p.processes[i]
}

// serveFault switches a fault and leads back to the page.
func (p *Page) serveFault(w http.ResponseWriter, r *http.Request) {
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(p.slow))
	r.Body = http.MaxBytesReader(w, r.Body, 1<<10)
	name := r.PostFormValue("fault")
	for _, f := range faults {
		if f.Name != name || p.opts.Switch == nil {
			continue
		}
		p.opts.Switch.Set(f.fault)
		p.mu.Lock()
		p.announce()
		p.mu.Unlock()
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	http.Error(w, fmt.Sprintf("There is no fault %q to switch on.", name), http.StatusBadRequest)
}

func render(w http.ResponseWriter, name string, data interface{}) {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, data); err != nil {
		http.Error(w, "The page cannot be drawn: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(b.Bytes())
}

func (p *process) id() string { return "p" + strconv.Itoa(p.index) }

func clock(t time.Time) string { return t.Format("15:04:05 MST") }

// stamp renders a time for machines.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

func ago(t time.Time) string { return lasted(t, time.Now()) + " ago" }

// lasted renders the time between two moments, such as 4 min 2 s.
func lasted(from, to time.Time) string {
	s := int(to.Sub(from).Round(time.Second).Seconds())
	switch {
	case s < 1:
		return "under 1 s"
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min %d s", s/60, s%60)
	}
	return fmt.Sprintf("%d h %d min", s/3600, s/60%60)
}
