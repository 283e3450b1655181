//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cli/browser"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/page"
)

// A run of the app's processes, until all of them have ended.
type run struct {
	*session
	ctx    context.Context // done when they are to end
	app    string          // the directory of the build
	server *endpoint.Server
	faults *endpoint.Switch
	start  time.Time
	width  int // of the column of process names
	dynos  sync.WaitGroup

	mu         sync.Mutex
	lines      int // of the table
	deliveries map[string]*page.Delivery
	outages    map[string]string // by process: the document of the last request, while there is an outage
}

// watch runs the processes and shows what they report.
func (s *session) watch(ctx context.Context, processes []process, app string) (err error) {
	if s.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.duration)
		defer cancel()
	}
	r := &run{
		session: s, ctx: ctx, app: app, faults: &endpoint.Switch{}, start: time.Now(), width: len("process"),
		deliveries: map[string]*page.Delivery{}, outages: map[string]string{},
	}
	if r.server, err = endpoint.Start(endpoint.Options{Fault: r.faults.Fault}); err != nil {
		return err
	}
	defer r.server.Close()
	shown := page.Options{Listener: s.page, Server: r.server, Switch: r.faults, NoOTLP: map[string]string{}}
	for i := range processes {
		p := &processes[i]
		if err := r.place(p); err != nil {
			return err
		}
		shown.Processes = append(shown.Processes, p.name)
		shown.NoOTLP[p.name] = p.noOTLP
		r.deliveries[p.name] = &page.Delivery{}
		r.width = max(r.width, len(p.name))
	}
	served := page.Start(shown)
	defer served.Close()
	r.server.OnAttempt(r.attempt)
	r.server.OnReport(r.report)
	r.server.OnExport(r.export)
	for _, p := range processes {
		r.launch(p)
	}
	s.tell(event{Event: "page", URL: served.URL(), Text: "look at " + served.URL()})
	if s.open {
		if err := browser.OpenURL(served.URL()); err != nil {
			s.say("opening a browser: %v", err)
		}
	}
	ran := r.wait()
	r.server.Close() // returns when no report is on its way
	line, ok := summary(processes, r.deliveries, r.server.Rejected(), ran)
	if !ok {
		return errors.New(line)
	}
	s.tell(event{Event: "result", Text: line, Reported: &ok})
	return nil
}

// wait waits until all processes have ended, and returns how long they were to run.
func (r *run) wait() time.Duration {
	ended := make(chan struct{})
	go func() {
		r.dynos.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-r.ctx.Done():
	}
	ran := time.Since(r.start)
	select {
	case <-ended:
	case <-time.After(time.Second):
		r.tell(event{Event: "stopping", Text: fmt.Sprintf("waiting up to %v for the app to end; Ctrl-C again ends it at once", r.grace)})
		<-ended
	}
	return ran
}

// place gives a process its port and environment.
func (r *run) place(p *process) error {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		return err
	}
	p.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	p.environ = slices.Clone(r.environ)
	set := func(name string, value any) { p.environ = append(p.environ, fmt.Sprint(name, "=", value)) }
	set("HMETRICS_INTERVAL", r.interval)
	const otlp = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"
	url := r.server.OTLPURL(p.name)
	if p.noOTLP == "" {
		set(otlp, url)
		set("OTEL_METRIC_EXPORT_INTERVAL", r.interval.Milliseconds())
	}
	p.environ = slices.Concat(p.environ, r.dotenv, r.config)
	if at, _ := herokugo.Getenv(p.environ, otlp); p.noOTLP == "" && at != url {
		p.noOTLP = "the app has another " + otlp
	}
	path, _ := herokugo.Getenv(r.environ, "PATH")
	set("HEROKU_METRICS_URL", r.server.URL(p.name))
	set("PORT", p.port)
	set("DYNO", p.name+".1")
	set("PATH", path+":"+filepath.Join(r.app, "bin"))
	set("PWD", r.app)
	return nil
}

// launch starts a process, and tells when it ends, and for a web process whether it
// listens.
func (r *run) launch(p process) {
	port := fmt.Sprint(p.port)
	args := make([]string, len(r.args))
	for i, arg := range r.args {
		args[i] = strings.NewReplacer("$PORT", port, "${PORT}", port).Replace(arg)
	}
	r.tell(event{Event: "up", Process: p.name, Port: p.port, Text: fmt.Sprintf("%s.1 is up: %s, PORT=%s, %s",
		p.name, strings.Join(append([]string{p.command}, args...), " "), port, p.expected(r.interval))})
	d := r.startDyno(r.ctx, p, r.app, args, p.environ)
	r.dynos.Go(func() {
		<-d.done
		r.exit(d)
	})
	if p.name == "web" {
		go r.boot(d)
	}
}

// expected says what will come from a process.
func (p process) expected(interval time.Duration) string {
	otlp := ""
	if p.noOTLP == "" {
		otlp = ", by OTLP too"
	}
	switch {
	case p.reporter != "":
		return "reporting by itself with " + p.reporter + otlp
	case p.agent:
		return fmt.Sprintf("reporting every %v", interval) + otlp
	}
	return "not reporting: the agent is not in bin/" + p.binary
}

// boot warns of a web process that does not listen on its port.
func (r *run) boot(d *dyno) {
	late := time.After(r.bootTime)
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	for {
		if c, err := net.Dial("tcp", fmt.Sprint("localhost:", d.port)); err == nil {
			c.Close()
			return
		}
		select {
		case <-look.C:
		case <-d.done:
			return
		case <-late:
			r.warn(d.name, "%s.1 does not listen on PORT, %d, after %v; Heroku kills a web process that does not within 60 s", d.name, d.port, r.bootTime)
			return
		}
	}
}

// exit tells how a process ended, and where it never reported, what it may lack.
func (r *run) exit(d *dyno) {
	if r.ctx.Err() != nil {
		if d.killed {
			r.tell(event{Event: "stopping", Process: d.name, Text: d.name + ".1 was killed: it had not ended after SIGTERM; on Heroku it has 30 s"})
		}
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	text := fmt.Sprintf("%s.1 %s", d.name, d.how())
	if r.deliveries[d.name].Accepted > 0 {
		r.tell(event{Event: "exit", Process: d.name, Text: text})
		return
	}
	r.tell(event{Event: "exit", Process: d.name, Text: text + ", before its first report"})
	switch names := unset(string(d.output), r.app, d.environ); {
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
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.deliveries[a.Process]
	d.Attempt(a)
	last, down := r.outages[a.Process]
	fault := r.faults.Now().Name
	switch {
	case !down && (d.Down() || fault != ""):
		why := "reports are not accepted"
		if fault != "" {
			why = "the endpoint has the fault " + fault
		}
		r.outage(a.Process, "began", "outage: "+why)
	case down && last != string(a.Body):
		r.outage(a.Process, "lasts", fmt.Sprintf("outage: pending %s, %s",
			plural(int(d.Pending.Collections), "collection"), endpoint.Duration(d.Pending.PauseNS)))
	case !down:
		return
	}
	r.outages[a.Process] = string(a.Body)
}

// report shows an accepted report, and tells that an outage is over.
func (r *run) report(rep endpoint.Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.deliveries[rep.Process]
	since := d.Failing
	d.Accept(rep)
	text := tableReport(elapsed(rep.Received.Sub(r.start)), r.width, rep)
	if r.lines%headerEvery == 0 {
		text = tableHeader(r.width) + "\n" + text
	}
	r.lines++
	r.tell(event{Event: "report", Process: rep.Process, Text: text, Report: rep.Body, Counts: &d.Counts})
	if _, down := r.outages[rep.Process]; down {
		delete(r.outages, rep.Process)
		r.outage(rep.Process, "over", fmt.Sprintf("outage: over after %s; %s and %s were delivered, %s",
			elapsed(rep.Received.Sub(since)), plural(int(rep.Collections), "collection"), endpoint.Duration(rep.PauseNS), lost(d.Lost)))
	}
}

func (r *run) outage(process, state, text string) {
	r.tell(event{Event: "outage", Outage: state, Process: process, Counts: &r.deliveries[process].Counts,
		Text: tableLine(elapsed(time.Since(r.start)), process, r.width, text)})
}

func (r *run) export(e endpoint.Export) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.deliveries[e.Process].Export(e); e.Refused == "" {
		r.tell(event{Event: "export", Process: e.Process, Export: e.Values})
	}
}

func lost(c page.Counters) string {
	if c == (page.Counters{}) {
		return "nothing is lost"
	}
	return fmt.Sprintf("%s and %s are lost", plural(int(c.Collections), "collection"), endpoint.Duration(c.PauseNS))
}

// summary says in one line what was seen, and whether that is a success.
func summary(processes []process, deliveries map[string]*page.Delivery, rejected []endpoint.Rejection, ran time.Duration) (line string, ok bool) {
	var all page.Delivery
	var counts, names []string
	for _, p := range processes {
		d := deliveries[p.name]
		all.Accepted += d.Accepted
		all.Exports += d.Exports
		all.Lost = all.Lost.Plus(d.Lost)
		counts = append(counts, fmt.Sprintf("%s %d and %d", p.name, d.Accepted, d.Exports))
		name := p.name
		if p.reporter != "" {
			name += " (reporting by itself with " + p.reporter + ")"
		}
		names = append(names, name)
	}
	total := fmt.Sprintf("%s and %s by OTLP in %s", plural(all.Accepted, "report"), plural(all.Exports, "export"), elapsed(ran))
	switch {
	case all.Accepted == 0:
		line = fmt.Sprintf("no report arrived in %s from %s", elapsed(ran), strings.Join(names, ", "))
	case len(names) == 1:
		line = fmt.Sprintf("%s from %s, %s", total, names[0], lost(all.Lost))
	default:
		line = fmt.Sprintf("%s, %s: %s", total, lost(all.Lost), strings.Join(counts, ", "))
	}
	if n := len(rejected); n > 0 {
		last := rejected[n-1]
		line += fmt.Sprintf("; %s refused, the last one of %s: %s", plural(n, "request"), last.Process, last.Reason)
	}
	return line, all.Accepted > 0 && len(rejected) == 0
}
