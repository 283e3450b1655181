package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A dyno is a program that serves, and reports to a server of its own.
type dyno struct {
	cmd      *exec.Cmd
	log      bytes.Buffer
	url      string
	ended    chan struct{}
	server   *httptest.Server
	reports  chan struct{} // has one for each that was accepted
	accepted int           // of those, how many were waited for
}

// startDyno runs a program and waits until it listens. It reports to Heroku, or by OTLP.
// Package endpoint is too strict for what the SDK sends.
func startDyno(ctx context.Context, file string, otlp bool, interval time.Duration, env ...string) *dyno {
	l := must(net.Listen("tcp", "127.0.0.1:0"))
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	d := &dyno{cmd: exec.Command(file), url: "http://127.0.0.1:" + port, ended: make(chan struct{}), reports: make(chan struct{}, 1000)}
	d.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); err == nil && n > 0 {
			d.reports <- struct{}{}
		}
		w.Header().Set("Content-Type", r.Header.Get("Content-Type")) // an empty answer is one by OTLP, too
	}))
	d.cmd.Env = append(env, "PATH=/usr/bin:/bin", "PORT="+port, "DYNO=web.1")
	if otlp {
		d.cmd.Env = append(d.cmd.Env, "OTEL_EXPORTER_OTLP_ENDPOINT="+d.server.URL, fmt.Sprint("OTEL_METRIC_EXPORT_INTERVAL=", interval.Milliseconds()))
	} else {
		d.cmd.Env = append(d.cmd.Env, "HEROKU_METRICS_URL="+d.server.URL, "HMETRICS_INTERVAL="+interval.String())
	}
	d.cmd.Stdout, d.cmd.Stderr = &d.log, &d.log
	check(d.cmd.Start())
	go func() { d.cmd.Wait(); close(d.ended) }()
	for {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			c.Close()
			return d
		}
		select {
		case <-d.ended:
			check(fmt.Errorf("%s ended before it listened:\n%s", file, &d.log))
		case <-ctx.Done():
			d.stop()
			check(ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (d *dyno) stop() {
	d.cmd.Process.Kill()
	<-d.ended
	d.server.Close()
}

// settle is left to a process for what it does after its report was accepted.
const settle = 300 * time.Millisecond

// after reads of the process when n reports were accepted and what they cost is over.
func (d *dyno) after(ctx context.Context, n int, read func(*dyno) float64) (value float64, err error) {
	defer catch(&err)
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for ; d.accepted < n; d.accepted++ {
		select {
		case <-d.reports:
		case <-ctx.Done():
			return 0, fmt.Errorf("%s: %d reports: %w", d.cmd.Path, d.accepted, ctx.Err())
		}
	}
	time.Sleep(settle)
	return read(d), nil
}

// cpu returns the CPU time that the process has used, in seconds, by the scheduler's own
// count in nanoseconds.
func (d *dyno) cpu() (total float64) {
	for _, thread := range must(filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", d.cmd.Process.Pid))) {
		total += must(strconv.ParseFloat(strings.Fields(string(must(os.ReadFile(thread))))[0], 64)) / 1e9
	}
	return total
}

// resident returns the resident memory in bytes.
func (d *dyno) resident() (kb float64) {
	_, rss, _ := strings.Cut(string(must(os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", d.cmd.Process.Pid)))), "\nRss:")
	must(fmt.Sscan(rss, &kb))
	return kb * 1024
}

// allocated returns how many objects a program that imports expvar has allocated.
func (d *dyno) allocated() float64 {
	resp := must(http.Get(d.url + "/debug/vars"))
	defer resp.Body.Close()
	var vars struct{ Memstats struct{ Mallocs float64 } }
	check(json.NewDecoder(resp.Body).Decode(&vars))
	return vars.Memstats.Mallocs
}

// idle measures what reporting costs a process that has nothing else to do, memory and
// CPU time, between the first report and the third. All processes run at the same time,
// at heroku/x's interval, which cannot be changed. What an idle one uses depends on what
// the machine's caches still hold, so there are several, which do not start at once.
func idle(ctx context.Context, w *workspace, p *pair) {
	const interval, reports, apart = 20 * time.Second, 2, 200 * time.Millisecond
	type reading struct {
		row, side string
		mean      float64 // what this process adds to it
		err       error
	}
	all, started := make(chan reading, 100), 0
	for _, r := range p.wanted() {
		env, times, read := "GOGC=100", 4, (*dyno).resident
		if r.unit == inSeconds {
			// One collection of the garbage that the start of the app left behind
			// costs as much as ten reports, and comes when it comes.
			env, times, read = "GOGC=off", 8, (*dyno).cpu
		}
		for i := range 2 * times {
			side := []string{r.a, r.b}[i%2]
			d := startDyno(ctx, w.binary(ctx, r.app, side), r.b == sdk, interval, env)
			defer d.stop()
			started++
			go func() {
				before, err := d.after(ctx, 1, read)
				after, err2 := d.after(ctx, 1+reports, read)
				if r.unit == inSeconds {
					after = (after - before) / reports
				}
				all <- reading{r.name, side, after / float64(times), errors.Join(err, err2)}
			}()
			time.Sleep(apart)
		}
	}
	means := map[string]float64{}
	for range started {
		x := <-all
		check(x.err)
		means[x.row+x.side] += x.mean
	}
	for _, r := range p.wanted() {
		p.add(r, r.a, took{wall: means[r.name+r.a]})
		p.add(r, r.b, took{wall: means[r.name+r.b]})
	}
}
