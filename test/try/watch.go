//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/page"
)

// grace is how long the app may take to stop.
const grace = 5 * time.Second

// A run of the app's processes, until all of them have ended.
type run struct {
	*trial
	app       string // the directory of the build
	processes []process
	server    *endpoint.Server
	faults    *endpoint.Switch
	start     time.Time

	events chan func()   // what happened, for the goroutine of watch to deal with
	over   chan struct{} // closed when that is done

	table      *table
	dynos      []*dyno
	exited     int // of the dynos
	stopping   bool
	deliveries map[string]*page.Delivery
	outages    map[string]string // by process: the document that was told last, while there is an outage
}

// watch runs the processes and shows their reports.
func (t *trial) watch(ctx context.Context, processes []process, app string) (err error) {
	r := &run{
		trial: t, app: app, processes: processes, faults: &endpoint.Switch{}, start: time.Now(),
		events: make(chan func()), over: make(chan struct{}),
		deliveries: map[string]*page.Delivery{}, outages: map[string]string{},
	}
	if r.server, err = endpoint.Start(endpoint.Options{Fault: r.faults.Fault}); err != nil {
		return err
	}
	defer r.server.Close()
	var names []string
	for _, p := range processes {
		names = append(names, p.name)
		r.deliveries[p.name] = &page.Delivery{}
	}
	shown, err := page.Start(page.Options{Listener: t.page, Server: r.server, Switch: r.faults, Processes: names})
	if err != nil {
		return err
	}
	defer shown.Close()
	defer close(r.over)
	r.server.OnAttempt(func(a endpoint.Attempt) { r.happened(func() { r.attempt(a) }) })
	r.server.OnReport(func(rep endpoint.Report) { r.happened(func() { r.report(rep) }) })
	out := t.stdout
	if t.json {
		out = nil
	}
	r.table = newTable(out, r.start, processes)
	for _, p := range processes {
		if err := r.launch(p); err != nil {
			r.stop()
			return err
		}
	}
	t.tell(event{Event: "page", URL: shown.URL(), Text: "look at " + shown.URL()})
	if t.open {
		if err := page.Open(shown.URL()); err != nil {
			t.say("%v", err)
		}
	}
	if t.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, t.duration)
		defer cancel()
	}
	for r.exited < len(r.dynos) && ctx.Err() == nil {
		select {
		case f := <-r.events:
			f()
		case <-ctx.Done():
		}
	}
	ran := time.Since(r.start)
	r.stop()
	line, ok := summary(processes, r.deliveries, r.server.Rejected(), ran)
	if !ok {
		return errors.New(line)
	}
	t.tell(event{Event: "result", Text: line, Reported: &ok})
	return nil
}

// happened has the goroutine of watch call f.
func (r *run) happened(f func()) {
	select {
	case r.events <- f:
	case <-r.over:
	}
}

// launch starts a process, and has told when it ends, and for a web process
// whether it listens.
func (r *run) launch(p process) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	args := make([]string, len(r.args))
	for i, arg := range r.args {
		args[i] = strings.NewReplacer("$PORT", fmt.Sprint(port), "${PORT}", fmt.Sprint(port)).Replace(arg)
	}
	environ := r.dynoEnviron(p.name, r.app, port, r.server.URL(p.name))
	d, err := startDyno(p, r.app, args, environ, r.stderr)
	if err != nil {
		return fmt.Errorf("starting %s: %w", p.name, err)
	}
	r.dynos = append(r.dynos, d)
	r.tell(event{Event: "up", Process: p.name, Port: port, Text: fmt.Sprintf("%s.1 is up: %s, PORT=%d, %s",
		p.name, strings.Join(append([]string{p.command}, args...), " "), port, r.expected(p))})
	go func() {
		<-d.done
		r.happened(func() { r.exit(d, environ) })
	}()
	if p.name == "web" {
		go r.boot(d, port)
	}
	return nil
}

// expected says what will come from a process.
func (t *trial) expected(p process) string {
	switch {
	case p.own != "":
		return "reporting by itself with " + p.own
	case p.agent:
		return fmt.Sprintf("reporting every %v", t.interval)
	}
	return "not reporting: the agent is not in bin/" + p.binary
}

// boot warns of a web process that does not listen on its port.
func (r *run) boot(d *dyno, port int) {
	late := time.After(r.bootTime)
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for !listens(port) {
		select {
		case <-look.C:
		case <-d.done:
			return
		case <-r.over:
			return
		case <-late:
			r.happened(func() {
				r.warn(d.name, "%s.1 does not listen on PORT, %d, after %v; Heroku kills a web process that does not within 60 s", d.name, port, r.bootTime)
			})
			return
		}
	}
}

// exit tells how a process ended, and where it never reported, what it may lack.
func (r *run) exit(d *dyno, environ []string) {
	if r.exited++; r.stopping {
		return
	}
	text := fmt.Sprintf("%s.1 %s", d.name, d.how())
	if r.deliveries[d.name].Accepted > 0 {
		r.tell(event{Event: "exit", Process: d.name, Text: text})
		return
	}
	r.tell(event{Event: "exit", Process: d.name, Text: text + ", before its first report"})
	switch names := unset(string(d.output), r.app, environ); {
	case d.err == nil:
	case len(names) > 0:
		r.warn(d.name, "%s.1 may lack %s: set a config var with -config %s=VALUE, or in the app's .env", d.name, strings.Join(names, ", "), names[0])
	default:
		r.warn(d.name, "if %s.1 lacks a config var, set it with -config NAME=VALUE, or in the app's .env", d.name)
	}
}

// attempt follows a request before its answer, and tells of an outage: once when it
// begins, and then of each report that is not accepted.
func (r *run) attempt(a endpoint.Attempt) {
	d := r.deliveries[a.Process]
	d.Attempt(a)
	told, down := r.outages[a.Process]
	fault := r.faults.Now().Name
	switch {
	case !down && (d.Down() || fault != ""):
		why := "reports are not accepted"
		if fault != "" {
			why = "the endpoint has the fault " + fault
		}
		r.outage(a.Process, "began", "outage: "+why)
	case down && told != string(a.Body):
		r.outage(a.Process, "lasts", fmt.Sprintf("outage: pending %s, %s",
			plural(int(d.Pending.Collections), "collection"), endpoint.Duration(d.Pending.PauseNS)))
	case !down:
		return
	}
	r.outages[a.Process] = string(a.Body)
}

// report shows an accepted report, and tells that an outage is over.
func (r *run) report(rep endpoint.Report) {
	d := r.deliveries[rep.Process]
	since := d.Failing
	d.Accept(rep)
	r.table.add(rep)
	r.tell(event{Event: "report", Process: rep.Process, Report: rep.Body, Counts: countsOf(d)})
	if _, down := r.outages[rep.Process]; down {
		delete(r.outages, rep.Process)
		lost := "nothing is lost"
		if d.Lost != (page.Counters{}) {
			lost = fmt.Sprintf("%s and %s are lost", plural(int(d.Lost.Collections), "collection"), endpoint.Duration(d.Lost.PauseNS))
		}
		r.outage(rep.Process, "over", fmt.Sprintf("outage: over after %s; %s and %s were delivered, %s",
			elapsed(rep.Received.Sub(since)), plural(int(rep.Collections), "collection"), endpoint.Duration(rep.PauseNS), lost))
	}
}

func (r *run) outage(process, state, text string) {
	r.tell(event{Event: "outage", Outage: state, Process: process, Counts: countsOf(r.deliveries[process]),
		Text: r.table.beside(time.Now(), process, text)})
}

// stop ends the processes. Reports may come meanwhile.
func (r *run) stop() {
	r.stopping = true
	var stopping sync.WaitGroup
	for _, d := range r.dynos {
		stopping.Add(1)
		go func() {
			defer stopping.Done()
			if d.stop(grace, r.hurry) {
				r.happened(func() {
					r.tell(event{Event: "stopping", Process: d.name, Text: d.name + ".1 was killed: it had not ended after SIGTERM; on Heroku it has 30 s"})
				})
			}
		}()
	}
	quiet := make(chan struct{})
	go func() {
		stopping.Wait()
		r.server.Close() // returns when no report is on its way
		close(quiet)
	}()
	slow := time.After(time.Second)
	for {
		select {
		case f := <-r.events:
			f()
		case <-quiet:
			return
		case <-slow:
			var names []string
			for _, d := range r.dynos {
				if !d.over() {
					names = append(names, d.name+".1")
				}
			}
			r.tell(event{Event: "stopping", Text: fmt.Sprintf("waiting up to %v for %s to end; Ctrl-C again ends it at once", grace, strings.Join(names, ", "))})
		}
	}
}

// summary says in one line what was seen, and whether that is a success.
func summary(processes []process, deliveries map[string]*page.Delivery, rejected []endpoint.Rejection, ran time.Duration) (line string, ok bool) {
	total := 0
	var counts, names []string
	for _, p := range processes {
		n := deliveries[p.name].Accepted
		total += n
		counts = append(counts, fmt.Sprintf("%s %d", p.name, n))
		name := p.name
		if p.own != "" {
			name += " (reporting by itself with " + p.own + ")"
		}
		names = append(names, name)
	}
	switch {
	case total == 0:
		line = fmt.Sprintf("no report arrived in %s from %s", elapsed(ran), strings.Join(names, ", "))
	case len(names) == 1:
		line = fmt.Sprintf("%s in %s from %s", plural(total, "report"), elapsed(ran), names[0])
	default:
		line = fmt.Sprintf("%s in %s: %s", plural(total, "report"), elapsed(ran), strings.Join(counts, ", "))
	}
	if n := len(rejected); n > 0 {
		last := rejected[n-1]
		line += fmt.Sprintf("; %s refused, the last one of %s: %s", plural(n, "request"), last.Process, last.Reason)
	}
	return line, total > 0 && len(rejected) == 0
}
