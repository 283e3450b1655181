//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cli/browser"

	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/page"
)

// watch runs the processes until all of them end, and shows what they report.
func (s *session) watch(ctx context.Context) (err error) {
	if s.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.duration)
		defer cancel()
	}
	s.start, s.width = time.Now(), len("process")
	if s.server, err = endpoint.Start(endpoint.Options{Fault: s.faults.Fault}); err != nil {
		return err
	}
	defer s.server.Close()
	shown := page.Options{Listener: s.page, Server: s.server, Switch: &s.faults, NoOTLP: map[string]string{}}
	for _, p := range s.processes {
		if err := s.place(p); err != nil {
			return err
		}
		shown.Processes = append(shown.Processes, p.name)
		shown.NoOTLP[p.name] = p.noOTLP
		s.width = max(s.width, len(p.name))
	}
	served := page.Start(shown)
	defer served.Close()
	s.server.OnAttempt(s.attempt)
	s.server.OnReport(s.report)
	s.server.OnExport(s.export)
	for _, p := range s.processes {
		s.launch(ctx, p)
	}
	s.print(event{Event: "page", URL: served.URL(), Text: "look at " + served.URL()})
	if s.open {
		browser.Stdout = s.stderr
		if err := browser.OpenURL(served.URL()); err != nil {
			s.logf("opening a browser: %v", err)
		}
	}
	ended := make(chan struct{})
	go func() {
		s.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		s.print(event{Event: "stopping", Text: fmt.Sprintf("stopping the app: SIGTERM, and after %v SIGKILL", grace)})
	}
	ran := time.Since(s.start)
	<-ended
	s.server.Close() // returns when no report is on its way
	line, ok := s.summary(ran)
	if !ok {
		return errors.New(line)
	}
	s.print(event{Event: "result", Text: line, Reported: &ok})
	return nil
}

// named returns the process with that name. Only processes of this session have a URL.
func (s *session) named(name string) *process {
	return s.processes[slices.IndexFunc(s.processes, func(p *process) bool { return p.name == name })]
}

// attempt records a request before its answer. It prints when an outage begins, and then each
// report that is not accepted.
func (s *session) attempt(a endpoint.Attempt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.named(a.Process)
	p.delivery.Attempt(a)
	fault, body := s.faults.Now(), string(a.Body)
	switch {
	case !p.outage && fault.Serve != nil:
		s.printOutage(p, "began", "the endpoint has the fault "+fault.Name)
	case !p.outage && p.delivery.Down():
		s.printOutage(p, "began", "reports are not accepted")
	case p.outage && p.last != body:
		pending := p.delivery.Pending
		s.printOutage(p, "lasts", fmt.Sprintf("pending %s, %s", plural(int(pending.Collections), "collection"), endpoint.Duration(pending.PauseNS)))
	}
	p.last = body
}

// report prints an accepted report, with a header every 20 reports, and the end of an outage.
func (s *session) report(r endpoint.Report) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.named(r.Process)
	since := p.delivery.Failing
	p.delivery.Accept(r)
	text := s.tableRow(elapsed(r.Received.Sub(s.start)), p.name,
		endpoint.Bytes(r.HeapBytes), endpoint.Bytes(r.StackBytes), endpoint.Count(r.HeapObjects), endpoint.Bytes(r.GCGoal),
		endpoint.Count(r.Collections), endpoint.Duration(r.PauseNS), endpoint.Count(r.Goroutines))
	if s.rows%20 == 0 {
		text = s.tableRow("time", "process", "heap", "stack", "objects", "goal", "GCs", "pause", "goroutines") + "\n" + text
	}
	s.rows++
	s.print(event{Event: "report", Process: p.name, Text: text, Report: r.Body, Counts: &p.delivery.Counts})
	if p.outage {
		s.printOutage(p, "over", fmt.Sprintf("over after %s; %s and %s were delivered, %s",
			elapsed(r.Received.Sub(since)), plural(int(r.Collections), "collection"), endpoint.Duration(r.PauseNS), lost(p.delivery.Lost)))
	}
}

// printOutage prints that an outage of a process began, lasts or is over.
func (s *session) printOutage(p *process, state, text string) {
	p.outage = state != "over"
	s.print(event{Event: "outage", Outage: state, Process: p.name, Counts: &p.delivery.Counts,
		Text: s.tableRow(elapsed(time.Since(s.start)), p.name, "outage: "+text)})
}

func (s *session) export(e endpoint.Export) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.named(e.Process).delivery.Export(e); e.Refused == "" {
		s.print(event{Event: "export", Process: e.Process, Export: e.Values})
	}
}

func lost(c page.Counters) string {
	if c == (page.Counters{}) {
		return "nothing is lost"
	}
	return fmt.Sprintf("%s and %s are lost", plural(int(c.Collections), "collection"), endpoint.Duration(c.PauseNS))
}

// summary returns the result of the run in one line, and whether it is a success.
func (s *session) summary(ran time.Duration) (line string, ok bool) {
	var all page.Delivery
	var counts []string
	for _, p := range s.processes {
		d := &p.delivery
		all.Accepted += d.Accepted
		all.Exports += d.Exports
		all.Lost = all.Lost.Plus(d.Lost)
		counts = append(counts, fmt.Sprintf("%s %d and %d", p.name, d.Accepted, d.Exports))
	}
	line = fmt.Sprintf("%s and %s by OTLP in %s, %s: %s", plural(all.Accepted, "report"), plural(all.Exports, "export"),
		elapsed(ran), lost(all.Lost), strings.Join(counts, ", "))
	if all.Accepted == 0 {
		line = "no report arrived: " + line
	}
	rejected := s.server.Rejected()
	if n := len(rejected); n > 0 {
		last := rejected[n-1]
		line += fmt.Sprintf("; %s refused, the last one of %s: %s", plural(n, "request"), last.Process, last.Reason)
	}
	return line, all.Accepted > 0 && len(rejected) == 0
}
