// Package page shows in a browser what an endpoint receives: charts of each
// process, outages, the reports as they came, and whether counts are lost. Its
// buttons make the endpoint fail.
//
// Scripts draw the charts, with uPlot, and keep the page up to date by one stream
// of server-sent events. Without them the page shows the same values in tables,
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
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
)

// MaxProcesses is how many processes a Page shows.
const MaxProcesses = 32

// Options shape a Page.
type Options struct {
	Listener net.Listener     // where it is served
	Server   *endpoint.Server // whose reports and exports are shown, from now on
	Switch   *endpoint.Switch // what the buttons set
	// Processes are shown from the start, in this order; others as soon as they
	// report. Of all of them, 32 are shown.
	Processes []string
	// NoOTLP says of a process why it sends nothing by OTLP, if that is known.
	NoOTLP map[string]string
}

// A Page is served until it is closed.
type Page struct {
	Options
	http http.Server
	ctx  context.Context
	end  context.CancelFunc
	stop []func()
	pace time.Duration // between two updates of a browser
	slow time.Duration // how long a browser may take for an update

	mu        sync.Mutex
	processes []*process
	unshown   map[string]bool // names beyond MaxProcesses, up to as many again
	changed   chan struct{}   // closed and replaced at each change
	streams   int             // browsers that are kept up to date
}

// Start serves the page of an endpoint.
func Start(o Options) *Page {
	p := &Page{Options: o, unshown: map[string]bool{}, changed: make(chan struct{}), pace: 250 * time.Millisecond, slow: 5 * time.Second}
	p.ctx, p.end = context.WithCancel(context.Background())
	for _, name := range o.Processes {
		p.process(name)
	}
	p.stop = []func(){o.Server.OnAttempt(p.attempt), o.Server.OnReport(p.report), o.Server.OnExport(p.export)}
	p.http = http.Server{
		Handler:           guard(p.handler()),
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
	go p.http.Serve(o.Listener)
	return p
}

// URL returns the address of the page.
func (p *Page) URL() string {
	host, port, _ := net.SplitHostPort(p.Listener.Addr().String())
	if net.ParseIP(host).IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + "/"
}

// Close tells the browsers that this is the end, and stops serving.
func (p *Page) Close() error {
	for _, stop := range p.stop {
		stop()
	}
	p.end()
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
	for _, proc := range p.processes {
		if proc.name == name {
			return proc
		}
	}
	if len(p.processes) < MaxProcesses {
		proc := &process{index: len(p.processes), name: name, noOTLP: p.NoOTLP[name]}
		p.processes = append(p.processes, proc)
		return proc
	}
	if len(p.unshown) < MaxProcesses {
		p.unshown[name] = true
	}
	return nil
}

// update changes the named process, and tells the streams that there is something
// new.
func (p *Page) update(name string, change func(*process)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if proc := p.process(name); proc != nil {
		change(proc)
		proc.version++
	}
	p.wake()
}

// wake tells the streams that there is something new. The caller holds mu.
func (p *Page) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Page) attempt(a endpoint.Attempt) {
	p.update(a.Process, func(proc *process) { proc.delivery.Attempt(a) })
}

func (p *Page) report(r endpoint.Report) {
	p.update(r.Process, func(proc *process) {
		proc.delivery.Accept(r)
		proc.reports.add(row{Received: r.Received, Values: reportValues(r), Body: r.Body})
	})
}

func (p *Page) export(e endpoint.Export) {
	p.update(e.Process, func(proc *process) {
		proc.delivery.Export(e)
		if e.Refused == "" {
			proc.exports.add(row{Received: e.Received, Values: exportValues(e, proc.export)})
			proc.export = e
		}
	})
}

// A fault is what a button has the endpoint do.
type fault struct {
	Name, Label, Is string
	endpoint.Fault
}

// faults are the buttons. The first one stands for none.
var faults = []fault{
	{"none", "accepts", "200, as Heroku does", endpoint.Fault{}},
	{"503", "503", "Service Unavailable", endpoint.Status(503)},
	{"429", "429", "Too Many Requests, come back in 1 s", endpoint.Status(429, "Retry-After", "1")},
	{"hang", "hangs", "reads the report and never answers", endpoint.BlackHole()},
	{"reset", "resets", "reads the report and resets the connection", endpoint.ResetRead()},
}

// Of uPlot, uplot holds version 1.6.32 from npm: what is in its dist, unchanged.
//
//go:embed page.css page.js icon.svg uplot
var files embed.FS

//go:embed page.html
var html string

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"clock": func(t time.Time) string { return t.Format("15:04:05 MST") }, "lasted": lasted,
	"ago":   func(t time.Time) string { return lasted(t, time.Now()) + " ago" },
	"stamp": func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") },
	"join":  strings.Join,
	"list":  func(values ...any) []any { return values },
}).Parse(html))

func (p *Page) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.Handle("GET /favicon.ico", http.RedirectHandler("/icon.svg", http.StatusFound)) // for what is no HTML
	mux.HandleFunc("GET /{$}", p.serveIndex)
	mux.HandleFunc("GET /live", p.serveLive)
	mux.HandleFunc("GET /reports/{process}/{$}", p.serveReports)
	mux.HandleFunc("GET /reports/{process}/{n}", p.serveReport)
	mux.HandleFunc("POST /fault", p.serveFault)
	return mux
}

// guard lets only those requests pass that were meant for this page.
//
// A host's name can be made to lead here by whoever owns the name, so that their
// page could read this one: only addresses, which nobody owns, and localhost are
// served. Only this page itself can post: a browser says where a form comes from.
// (http.CrossOriginProtection lets pass what does not say so.)
func guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range map[string]string{
			"Content-Security-Policy":      "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
			"X-Content-Type-Options":       "nosniff",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Cache-Control":                "no-store",
		} {
			w.Header().Set(name, value)
		}
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		if net.ParseIP(strings.Trim(host, "[]")) == nil && host != "localhost" {
			http.Error(w, "This page has no name: open it by its address, or as localhost.", http.StatusMisdirectedRequest)
			return
		}
		site := r.Header.Get("Sec-Fetch-Site")
		if r.Method == http.MethodPost && (r.Header.Get("Origin") != "http://"+r.Host || site != "" && site != "same-origin") {
			http.Error(w, "Only a form of this page itself can be sent here.", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (p *Page) serveIndex(w http.ResponseWriter, r *http.Request) {
	u := p.news(view{})
	var list []map[string]any
	p.mu.Lock()
	for _, proc := range p.processes {
		list = append(list, proc.data())
	}
	p.mu.Unlock()
	write(w, execute("page", map[string]any{"Processes": list, "Faults": u.Faults, "Notes": u.Processes}))
}

// serveReports lists all reports of a process that are kept, the newest first.
func (p *Page) serveReports(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	proc := p.find(r)
	var list template.HTML
	if proc != nil {
		list = execute("reports", map[string]any{"Name": proc.name, "Table": proc.table(keepRows)})
	}
	p.mu.Unlock()
	if proc == nil {
		http.Error(w, "No such process.", http.StatusNotFound)
		return
	}
	write(w, list)
}

// serveReport sends a report's document as it came.
func (p *Page) serveReport(w http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.PathValue("n"))
	var report row
	p.mu.Lock()
	if proc := p.find(r); proc != nil {
		if rows := proc.reports.since(n - 1); len(rows) > 0 {
			report = rows[0]
		}
	}
	p.mu.Unlock()
	if n == 0 || report.N != n {
		http.Error(w, "No such report, or it is not kept any more.", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(report.Body)
}

// find returns the process that a request names by its place. The caller holds mu.
func (p *Page) find(r *http.Request) *process {
	i, err := strconv.Atoi(r.PathValue("process"))
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
		if f.Name == name {
			f.Fault.Name = name
			p.Switch.Set(f.Fault)
			p.mu.Lock()
			p.wake()
			p.mu.Unlock()
			http.Redirect(w, r, "/", http.StatusSeeOther)
			return
		}
	}
	http.Error(w, fmt.Sprintf("There is no fault %q to switch on.", name), http.StatusBadRequest)
}

func write(w http.ResponseWriter, page template.HTML) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	io.WriteString(w, string(page))
}

// execute renders a template, which escapes what processes send.
func execute(name string, data any) template.HTML {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, data); err != nil {
		return template.HTML(template.HTMLEscapeString(fmt.Sprintf("The %s cannot be drawn: %v", name, err)))
	}
	return template.HTML(b.String())
}

// lasted renders the time between two moments, such as 4m2s.
func lasted(from, to time.Time) string { return to.Sub(from).Round(time.Second).String() }
