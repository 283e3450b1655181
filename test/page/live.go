package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
)

// An update is what a browser is sent when something has changed.
type update struct {
	Now       int64         `json:"now"` // ms
	Faults    template.HTML `json:"faults"`
	Processes template.HTML `json:"processes"`
	Changed   []change      `json:"changed"`
}

// A change is the state of one process, and its reports that are new to the browser.
type change struct {
	ID      string        `json:"id"`
	Facts   template.HTML `json:"facts"`
	Rows    template.HTML `json:"rows"`
	Reports [][]float64   `json:"reports"` // see history.since
	Outages [][]float64   `json:"outages"` // from and to in ms, collections and pause of the report that ended it
	Failing int64         `json:"failing"` // ms; 0 if the last request was accepted
}

// A view is what one browser has been sent: of each process, the version and the
// number of the last report.
type view map[*process]struct{ version, last int }

// news returns what has changed since the view, and brings the view up to date.
func (p *Page) news(v view) update {
	p.mu.Lock()
	defer p.mu.Unlock()
	u := update{Now: time.Now().UnixMilli()}
	faultNow := ""
	if p.opts.Switch != nil {
		faultNow = faults[0].Name
		if name := p.opts.Switch.Now().Name; name != "" {
			faultNow = name
		}
	}
	u.Faults = execute("faults", map[string]interface{}{"Faults": faults, "Now": faultNow})
	u.Processes = execute("processes", map[string]interface{}{"Shown": len(p.processes), "Unshown": len(p.unshown), "Most": MaxProcesses})
	for _, proc := range p.processes {
		had, ok := v[proc]
		if ok && had.version == proc.version {
			continue
		}
		data := proc.data()
		c := change{ID: proc.id(), Facts: execute("facts", data), Rows: execute("rows", data)}
		if !proc.delivery.Failing.IsZero() {
			c.Failing = proc.delivery.Failing.UnixMilli()
		}
		for _, o := range proc.delivery.Outages {
			c.Outages = append(c.Outages, []float64{float64(o.From.UnixMilli()), float64(o.To.UnixMilli()), o.Brought.Collections, o.Brought.PauseNS})
		}
		had.version = proc.version
		c.Reports, had.last = proc.history.since(had.last)
		v[proc] = had
		u.Changed = append(u.Changed, c)
	}
	return u
}

// data is what the templates show of a process. The caller holds Page.mu.
func (proc *process) data() map[string]interface{} {
	d := &proc.delivery
	type account struct{ Name, Accepted, Pending, Lost string }
	accounts := []account{
		{"GC collections", endpoint.Count(d.Delivered.Collections), endpoint.Count(d.Pending.Collections), endpoint.Count(d.Lost.Collections)},
		{"GC stop-the-world time", endpoint.Duration(d.Delivered.PauseNS), endpoint.Duration(d.Pending.PauseNS), endpoint.Duration(d.Lost.PauseNS)},
	}
	data := map[string]interface{}{
		"ID": proc.id(), "Name": proc.name, "Process": proc.index, "Figures": figures, "Delivery": d, "Last": proc.last,
		"Rows": proc.history.newest(8), "Kept": len(proc.history.reports),
		"Accounts": accounts, "AnyLost": d.Lost != Counters{}, "Reported": d.Attempts > d.Refused,
	}
	if n := len(d.Outages); n > 0 {
		data["Outage"] = d.Outages[n-1]
	}
	return data
}

// execute renders a template of a part.
func execute(name string, data interface{}) template.HTML {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, data); err != nil {
		return template.HTML(template.HTMLEscapeString(fmt.Sprintf("The %s cannot be drawn: %v", name, err)))
	}
	return template.HTML(b.String())
}

// serveLive streams updates, as long as the browser takes them. One that does not
// is dropped; one that is slow gets several changes in one update.
func (p *Page) serveLive(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	full := p.streams >= maxStreams
	if !full {
		p.streams++
	}
	p.mu.Unlock()
	if full {
		http.Error(w, fmt.Sprintf("%d browsers are looking: close one.", maxStreams), http.StatusServiceUnavailable)
		return
	}
	defer func() {
		p.mu.Lock()
		p.streams--
		p.mu.Unlock()
	}()
	w.Header().Set("Content-Type", "text/event-stream")
	if r.Method == http.MethodHead {
		return
	}
	control := http.NewResponseController(w)
	send := func(event string, v interface{}) bool {
		data, err := json.Marshal(v)
		if err != nil {
			return false
		}
		control.SetWriteDeadline(time.Now().Add(p.slow))
		if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, data); err != nil {
			return false
		}
		return control.Flush() == nil
	}
	v := view{}
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		<-pause.C
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		if !send("update", p.news(v)) {
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		case <-p.ctx.Done():
			send("end", struct{}{})
			return
		}
		pause.Reset(p.pace)
	}
}
