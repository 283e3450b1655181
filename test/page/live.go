package page

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"sync"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
)

// A part is a piece of the page that changes: the content of the element with
// its ID.
type part struct {
	ID   string        `json:"id"`
	HTML template.HTML `json:"html"`
}

// drawings keeps the parts as they were drawn last, so that each change is drawn
// once, whoever looks.
type drawings struct {
	mu        sync.Mutex
	processes map[drawing]*drawnProcess
	count     int // how many times a process was drawn
}

type drawing struct {
	span    span
	process int
}

type drawnProcess struct {
	version int
	parts   []part
}

// parts returns all parts of the page as they are now.
func (p *Page) parts(s span) []part {
	p.drawn.mu.Lock()
	defer p.drawn.mu.Unlock()
	p.mu.Lock()
	n, unshown := len(p.processes), len(p.unshown)
	p.mu.Unlock()

	now := ""
	if p.opts.Switch != nil {
		now = faults[0].Name
		if name := p.opts.Switch.Now().Name; name != "" {
			now = name
		}
	}
	all := []part{
		{"faults", execute("faults", map[string]interface{}{"Faults": faults, "Now": now, "Span": s.ID})},
		{"processes", execute("processes", map[string]interface{}{"Shown": n, "Unshown": unshown, "Most": MaxProcesses})},
	}
	for i := 0; i < n; i++ {
		all = append(all, p.drawProcess(drawing{s, i})...)
	}
	return all
}

func (p *Page) drawProcess(key drawing) []part {
	p.mu.Lock()
	proc := p.processes[key.process]
	if d := p.drawn.processes[key]; d != nil && d.version == proc.version {
		p.mu.Unlock()
		return d.parts
	}
	d := &drawnProcess{version: proc.version}
	cols := proc.history.columns(maxColumns, key.span.reach)
	newest := proc.history.newest(8)
	l := proc.ledger
	_, reports := proc.history.last()
	facts := map[string]interface{}{
		"Process": proc.index, "Rows": newest, "Kept": len(proc.history.reports), "Reports": reports, "Last": proc.last,
		"Attempts": l.attempts, "Accepted": l.accepted, "Retried": l.retried, "Refused": l.refused,
		"Silent": anySilence(cols), "Equations": l.equations(), "Own": l.own, "Documents": l.attempts > l.refused+l.unread,
	}
	id := proc.id()
	p.mu.Unlock()
	each := 0 // the oldest and the newest column may hold fewer
	for _, c := range cols {
		if c.Of > each {
			each = c.Of
		}
	}

	d.parts = []part{
		{id + "-facts", execute("facts", facts)},
		{id + "-proof", execute("proof", facts)},
		{id + "-rows", execute("rows", facts)},
	}
	for _, f := range figures {
		svg, err := f.draw(cols)
		if err != nil {
			svg = template.HTML(template.HTMLEscapeString("This chart cannot be drawn: " + err.Error()))
		}
		type value struct{ Name, Text string }
		var values []value
		for _, l := range f.Lines {
			v := value{l.Name, "–"}
			if len(newest) > 0 {
				v.Text = f.Format(l.Value(newest[0].Report))
			}
			values = append(values, v)
		}
		d.parts = append(d.parts, part{id + "-" + f.ID, execute("figure", map[string]interface{}{
			"Figure": f, "Values": values, "SVG": svg, "Each": each,
		})})
	}
	if p.drawn.processes == nil {
		p.drawn.processes = map[drawing]*drawnProcess{}
	}
	p.drawn.processes[key] = d
	p.drawn.count++
	return d.parts
}

func anySilence(cols []column) bool {
	for _, d := range silences(cols) {
		if d > 0 {
			return true
		}
	}
	return false
}

// execute renders a template of a part.
func execute(name string, data interface{}) template.HTML {
	var b bytes.Buffer
	if err := templates.ExecuteTemplate(&b, name, data); err != nil {
		return template.HTML(template.HTMLEscapeString(fmt.Sprintf("The %s cannot be drawn: %v", name, err)))
	}
	return template.HTML(b.String())
}

// An equation says of one counter what should come to what.
type equation struct {
	Name, Accepted, Pending, Total, Off string
	Holds                               bool
}

func (l *ledger) equations() []equation {
	var list []equation
	for _, c := range []struct {
		name   string
		format func(float64) string
		of     func(Counters) float64
	}{
		{"Collections", endpoint.Count, func(c Counters) float64 { return c.Collections }},
		{"GC pause", endpoint.Duration, func(c Counters) float64 { return c.PauseNS }},
	} {
		lost, over := c.of(l.lost), c.of(l.over)
		e := equation{
			Name:     c.name,
			Accepted: c.format(c.of(l.delivered)),
			Pending:  c.format(c.of(l.pending)),
			Total:    c.format(c.of(l.total)),
			Holds:    lost == 0 && over == 0,
		}
		switch {
		case lost > 0:
			e.Off = c.format(lost) + " lost"
		case over > 0:
			e.Off = c.format(over) + " too many"
		}
		list = append(list, e)
	}
	return list
}

// serveLive streams the parts that change, as long as the browser takes them. One
// that does not is dropped; one that is slow misses what came in between, never
// the latest.
func (p *Page) serveLive(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	if p.streams >= maxStreams || p.ctx.Err() != nil {
		p.mu.Unlock()
		http.Error(w, fmt.Sprintf("%d browsers are looking: close one.", maxStreams), http.StatusServiceUnavailable)
		return
	}
	p.streams++
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		p.streams--
		p.mu.Unlock()
	}()

	s := spanOf(r.URL.Query())
	w.Header().Set("Content-Type", "text/event-stream")
	if r.Method == http.MethodHead {
		return
	}
	control := http.NewResponseController(w)
	send := func(event string, data []byte) bool {
		control.SetWriteDeadline(time.Now().Add(p.slow))
		if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, data); err != nil {
			return false
		}
		return control.Flush() == nil
	}
	sent := map[string]template.HTML{}
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		<-pause.C
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		var news []part
		for _, part := range p.parts(s) {
			if old, ok := sent[part.ID]; !ok || old != part.HTML {
				news = append(news, part)
				sent[part.ID] = part.HTML
			}
		}
		if len(news) > 0 {
			data, err := json.Marshal(news)
			if err != nil || !send("parts", data) {
				return
			}
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		case <-p.ctx.Done():
			send("end", []byte("{}"))
			return
		}
		pause.Reset(p.pace)
	}
}
