package page

import (
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"time"
)

// An update is what a browser is sent when something has changed.
type update struct {
	Now       int64         `json:"now"` // ms
	Faults    template.HTML `json:"faults"`
	Processes template.HTML `json:"processes"`
	Changed   []change      `json:"changed"`
}

// A change is the state of one process, and its rows that are new to the browser:
// of each the number, the time in ms and the values.
type change struct {
	ID      string                   `json:"id"`
	Parts   map[string]template.HTML `json:"parts"`
	Reports [][]float64              `json:"reports"`
	Exports [][]float64              `json:"exports"`
	Outages [][]float64              `json:"outages"` // from and to in ms, collections and pause of the report that ended it
	Failing int64                    `json:"failing"` // ms; 0 if the last request was accepted
}

// A view is what one browser has been sent: of each process, the version and the
// numbers of the last rows.
type view map[*process]struct{ version, reports, exports int }

// news returns what has changed since the view, and brings the view up to date.
func (p *Page) news(v view) update {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.Switch.Now().Name
	if now == "" {
		now = faults[0].Name
	}
	u := update{
		Now:       time.Now().UnixMilli(),
		Faults:    execute("faults", map[string]any{"Faults": faults, "Now": now}),
		Processes: execute("processes", map[string]any{"Shown": len(p.processes), "Unshown": len(p.unshown), "Most": MaxProcesses}),
	}
	for _, proc := range p.processes {
		had, ok := v[proc]
		if ok && had.version == proc.version {
			continue
		}
		data := proc.data()
		c := change{ID: proc.id(), Parts: map[string]template.HTML{}, Reports: sent(proc.reports.since(had.reports)), Exports: sent(proc.exports.since(had.exports))}
		for _, part := range []string{"facts", "otlp", "rows"} {
			c.Parts[part] = execute(part, data)
		}
		if !proc.delivery.Failing.IsZero() {
			c.Failing = proc.delivery.Failing.UnixMilli()
		}
		for _, o := range proc.delivery.Outages {
			c.Outages = append(c.Outages, []float64{float64(o.From.UnixMilli()), float64(o.To.UnixMilli()), o.Brought.Collections, o.Brought.PauseNS})
		}
		had.version, had.reports, had.exports = proc.version, proc.reports.total, proc.exports.total
		v[proc] = had
		u.Changed = append(u.Changed, c)
	}
	return u
}

func sent(rows []row) [][]float64 {
	list := [][]float64{}
	for _, r := range rows {
		list = append(list, append([]float64{float64(r.N), float64(r.Received.UnixMilli())}, r.Values...))
	}
	return list
}

// serveLive streams updates, as long as the browser takes them. One that does not
// is dropped; one that is slow gets several changes in one update.
func (p *Page) serveLive(w http.ResponseWriter, r *http.Request) {
	count := func(n int) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.streams += n
	}
	count(1)
	defer count(-1)
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	send := func(event string, v any) error {
		data, err := json.Marshal(v)
		if err != nil {
			return err
		}
		control.SetWriteDeadline(time.Now().Add(p.slow))
		fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, data)
		return control.Flush()
	}
	v := view{}
	for {
		p.mu.Lock()
		changed := p.changed
		p.mu.Unlock()
		if send("update", p.news(v)) != nil {
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
		time.Sleep(p.pace)
	}
}
