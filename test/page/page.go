// Package page shows in a browser what an endpoint receives: charts of each process, outages,
// the reports as received, and whether counts are lost. Its buttons make the endpoint fail.
//
// This package renders the page. Its scripts draw the charts with uPlot and update the page:
// every second, they fetch the current page and the new values. Without scripts, the counts
// and the buttons work. The page loads nothing from elsewhere.
package page

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
)

// MaxProcesses is the largest number of processes of a Page: more would make it slow.
const MaxProcesses = 32

// Options configure a Page.
type Options struct {
	Listener  net.Listener     // where it is served
	Server    *endpoint.Server // whose reports and exports are shown, from now on
	Switch    *endpoint.Switch // what the buttons set
	Processes []string         // which are shown, in this order
	// NoOTLP maps a process to the reason why it exports nothing, if that is known.
	NoOTLP map[string]string
}

// A Page is served until it is closed.
type Page struct {
	Options
	http http.Server

	mu        sync.Mutex
	processes []*process
}

// Start serves the page of an endpoint.
func Start(o Options) *Page {
	p := &Page{Options: o}
	for _, name := range o.Processes {
		p.processes = append(p.processes, &process{
			Name: name, NoOTLP: o.NoOTLP[name],
			Reports: history{Figures: reportFigures}, Exports: history{Figures: exportFigures},
		})
	}
	o.Server.OnAttempt(func(a endpoint.Attempt) { p.update(a.Process, func(proc *process) { proc.Delivery.Attempt(a) }) })
	o.Server.OnReport(func(r endpoint.Report) { p.update(r.Process, func(proc *process) { proc.report(r) }) })
	o.Server.OnExport(func(e endpoint.Export) { p.update(e.Process, func(proc *process) { proc.export(e) }) })
	p.http = http.Server{
		Handler:      guard(p.handler()),
		ReadTimeout:  10 * time.Second,
		WriteTimeout: 10 * time.Second,           // then a browser that does not read is dropped
		ErrorLog:     log.New(io.Discard, "", 0), // browsers go away
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

// Close stops serving.
func (p *Page) Close() error { return p.http.Close() }

// update changes the named process, if the page shows it.
func (p *Page) update(name string, change func(*process)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.Processes, name); i >= 0 {
		change(p.processes[i])
	}
}

// A fault is what the endpoint does after a button is pressed.
type fault struct {
	Name, Label, Is string
	fault           endpoint.Fault
}

// faults are the buttons. The first one means no fault.
var faults = []fault{
	{"none", "accepts", "200, as Heroku does", endpoint.Fault{}},
	{"503", "503", "Service Unavailable", endpoint.Status(503)},
	{"429", "429", "Too Many Requests, come back in 1 s", endpoint.Status(429, "Retry-After", "1")},
	{"hang", "hangs", "reads the report and never answers", endpoint.BlackHole()},
	{"reset", "resets", "reads the report and resets the connection", endpoint.ResetRead()},
}

// The directory uplot has the files in dist of uPlot 1.6.32 from npm, unchanged.
//
//go:embed page.css page.js icon.svg uplot
var files embed.FS

//go:embed page.html
var html string

// page escapes what processes send.
var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"count": endpoint.Count, "duration": endpoint.Duration, "join": strings.Join,
}).Parse(html))

// render returns the page as it is now.
func (p *Page) render() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.Switch.Now().Name
	i := max(0, slices.IndexFunc(faults, func(f fault) bool { return f.Name == now }))
	clock := time.Now()
	_, offset := clock.Zone()
	data := map[string]any{"Time": clock, "Offset": offset, "Faults": faults, "Now": faults[i], "Processes": p.processes}
	var b bytes.Buffer
	if err := page.Execute(&b, data); err != nil {
		fmt.Fprintf(&b, "The page cannot be drawn: %v", err)
	}
	return b.String()
}

func (p *Page) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServerFS(files))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, p.render()) })
	mux.HandleFunc("GET /live", p.serveLive)
	mux.HandleFunc("POST /fault", p.serveFault)
	return mux
}

// guard passes only requests that are meant for this page.
//
// The owner of a host name can point it here, and then read this page from a page of their
// own. So guard accepts only IP addresses and localhost as the host. Only this page itself can
// post: a browser says where a form comes from. (http.CrossOriginProtection passes requests
// that do not say so.)
func guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "+
			"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		w.Header().Set("Cache-Control", "no-store")
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		switch {
		case net.ParseIP(strings.Trim(host, "[]")) == nil && host != "localhost":
			http.Error(w, "This page has no name: open it by its address, or as localhost.", http.StatusMisdirectedRequest)
		case r.Method == http.MethodPost && r.Header.Get("Origin") != "http://"+r.Host:
			http.Error(w, "Only a form of this page itself can be sent here.", http.StatusForbidden)
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// serveLive sends the current page. For each group of charts, in the order of the page, it
// also sends the number of rows so far, the rows that the browser lacks, and the outages. The
// request says how many rows the browser has of each.
func (p *Page) serveLive(w http.ResponseWriter, r *http.Request) {
	had := strings.NewReader(r.FormValue("had"))
	var groups [][]any
	page := p.render()
	p.mu.Lock()
	for _, proc := range p.processes {
		for _, h := range []*history{&proc.Reports, &proc.Exports} {
			n := 0
			fmt.Fscan(had, &n)
			groups = append(groups, []any{h.total, h.after(n), proc.outages()})
		}
	}
	p.mu.Unlock() // before anything is written, which may take a browser long
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"now": time.Now().UnixMilli(), "page": page, "groups": groups})
}

// serveFault sets a fault and redirects to the page.
func (p *Page) serveFault(w http.ResponseWriter, r *http.Request) {
	name := r.PostFormValue("fault")
	i := slices.IndexFunc(faults, func(f fault) bool { return f.Name == name })
	if i < 0 {
		http.Error(w, fmt.Sprintf("There is no fault %q to switch on.", name), http.StatusBadRequest)
		return
	}
	set := faults[i].fault
	if i > 0 {
		set.Name = name
	}
	p.Switch.Set(set)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
