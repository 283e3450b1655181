package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
)

// A dyno is a program that runs as one with the labs flag would, or without.
type dyno struct {
	cmd      *exec.Cmd
	log      bytes.Buffer
	base     string           // of its URLs
	endpoint *endpoint.Server // nil with the flag off
	ended    chan struct{}
}

// startDyno runs a program and waits until it listens. With an interval, the
// flag is on.
func startDyno(ctx context.Context, file, interval string, env ...string) (*dyno, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	l.Close()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	d := &dyno{cmd: exec.Command(file), base: "http://" + addr, ended: make(chan struct{})}
	d.cmd.Env = append([]string{"PATH=/usr/bin:/bin", "PORT=" + port, "DYNO=web.1"}, env...)
	if interval != "" {
		if d.endpoint, err = endpoint.Start(endpoint.Options{}); err != nil {
			return nil, err
		}
		d.cmd.Env = append(d.cmd.Env, "HEROKU_METRICS_URL="+d.endpoint.URL("web.1"), "HMETRICS_INTERVAL="+interval)
	}
	d.cmd.Stdout, d.cmd.Stderr = &d.log, &d.log
	if err := d.cmd.Start(); err != nil {
		d.closeEndpoint()
		return nil, err
	}
	go func() { d.cmd.Wait(); close(d.ended) }()
	for {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			return d, nil
		}
		select {
		case <-d.ended:
			d.stop()
			return nil, fmt.Errorf("%s ended before it listened:\n%s", file, tail(d.log.String()))
		case <-ctx.Done():
			d.stop()
			return nil, ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (d *dyno) stop() {
	d.cmd.Process.Kill()
	<-d.ended
	d.closeEndpoint()
}

func (d *dyno) closeEndpoint() {
	if d.endpoint != nil {
		d.endpoint.Close()
	}
}

// settle is left to a process for what it does after its report was accepted.
const settle = 300 * time.Millisecond

// reported waits until n reports were accepted and what they cost is over.
func (d *dyno) reported(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	if _, err := d.endpoint.Wait(ctx, n); err != nil {
		return fmt.Errorf("%s: %w\n%s", d.cmd.Path, err, tail(d.log.String()))
	}
	select {
	case <-time.After(settle):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// cpu returns the CPU time that the process has used, in seconds, by the
// scheduler's own count in nanoseconds.
func (d *dyno) cpu() (float64, error) {
	dir := filepath.Join("/proc", strconv.Itoa(d.cmd.Process.Pid), "task")
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	total := 0.0
	for _, task := range tasks {
		b, err := os.ReadFile(filepath.Join(dir, task.Name(), "schedstat"))
		if err != nil {
			return 0, fmt.Errorf("reading the CPU time of a process: %w", err)
		}
		ns, err := strconv.ParseFloat(strings.Fields(string(b))[0], 64)
		if err != nil {
			return 0, err
		}
		total += ns / 1e9
	}
	return total, nil
}

// resident returns the resident memory in bytes.
func (d *dyno) resident() (float64, error) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(d.cmd.Process.Pid), "smaps_rollup"))
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(b), "\n") {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "Rss:" {
			kb, err := strconv.ParseFloat(f[1], 64)
			return kb * 1024, err
		}
	}
	return 0, fmt.Errorf("smaps_rollup of %s has no line Rss", d.cmd.Path)
}

// count asks the app with a probe how often the world was stopped, or how many
// objects were allocated: "stops" or "objects".
func (d *dyno) count(what string) (n float64, err error) {
	resp, err := http.Get(d.base + "/debug/" + what)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := fmt.Fscan(resp.Body, &n); err != nil {
		return 0, fmt.Errorf("asking %s for the number of %s: %w", d.cmd.Path, what, err)
	}
	return n, nil
}

// idleRows are the rows of idle.
var idleRows = []struct {
	name      string
	app       shape
	processes int // of each side
	env       string
	read      func(*dyno) (float64, error)
	adds      bool // whether what is read is added to by each report
}{
	// One collection of the garbage that the start of the app left behind costs
	// as much as ten reports, and comes when it comes.
	{"cpu", webApp, 8, "GOGC=off", (*dyno).cpu, true},
	{"pauses", probeApp, 1, "GOGC=off", func(d *dyno) (float64, error) { return d.count("stops") }, true},
	{"rss", webApp, 4, "GOGC=100", (*dyno).resident, false},
}

// An idleProcess has nothing to do but to report.
type idleProcess struct {
	*dyno
	side string
	row  int     // in idleRows
	used float64 // what the row counts
}

// measure waits for the first report of the process, and for more.
func (p *idleProcess) measure(ctx context.Context, more int) error {
	row := idleRows[p.row]
	if err := p.reported(ctx, 1); err != nil {
		return err
	}
	before, err := row.read(p.dyno)
	if err != nil {
		return err
	}
	if err := p.reported(ctx, 1+more); err != nil {
		return err
	}
	if p.used, err = row.read(p.dyno); row.adds {
		p.used = (p.used - before) / float64(more)
	}
	return err
}

// idle measures what reporting costs a process that has nothing else to do:
// memory, CPU time and pauses, between the first report and the third. All
// processes run at the same time, at heroku/x's interval, which cannot be
// changed. What an idle one uses depends on what the machine's caches still
// hold, so there are several, which do not start at once.
func idle(ctx context.Context, l *lab, pair int, m *meter) error {
	const interval, reports, apart = "20s", 2, 200 * time.Millisecond
	var all []*idleProcess
	defer func() {
		for _, p := range all {
			p.stop()
		}
	}()
	start := func(row int, side, file string) error {
		d, err := startDyno(ctx, file, interval, idleRows[row].env)
		if err == nil {
			all = append(all, &idleProcess{dyno: d, row: row, side: side})
			time.Sleep(apart)
		}
		return err
	}
	for row, r := range idleRows {
		if !m.wants(r.name) {
			continue
		}
		ours, err := l.binary(ctx, r.app, buildpack)
		if err != nil {
			return err
		}
		theirs, err := l.binary(ctx, r.app.byHand(), plain)
		if err != nil {
			return err
		}
		for i := 0; i < r.processes; i++ {
			if err := start(row, buildpack, ours); err != nil {
				return err
			}
			if err := start(row, library, theirs); err != nil {
				return err
			}
		}
	}
	failures := make(chan error, len(all))
	for _, p := range all {
		go func(p *idleProcess) { failures <- p.measure(ctx, reports) }(p)
	}
	for range all {
		if err := <-failures; err != nil {
			return err
		}
	}
	for row, r := range idleRows {
		mean := make(map[string]float64)
		for _, p := range all {
			if p.row == row {
				mean[p.side] += p.used / float64(r.processes)
			}
		}
		for _, side := range []string{buildpack, library} {
			m.emit(r.name, pair, side, took{wall: mean[side]})
		}
	}
	return nil
}

// latency loads one binary with the flag on and off, and compares how long
// requests take, waiting included.
func latency(ctx context.Context, l *lab, pair int, m *meter) error {
	file, err := l.binary(ctx, webApp, buildpack)
	if err != nil {
		return err
	}
	sides := []struct{ side, interval string }{{buildpack, "1s"}, {flagOff, ""}}
	if pair%2 == 0 {
		sides[0], sides[1] = sides[1], sides[0]
	}
	for _, s := range sides {
		d, err := startDyno(ctx, file, s.interval)
		if err != nil {
			return err
		}
		times, err := load(ctx, d.base+"/orders", requestRate, loadTime)
		if err == nil && d.endpoint != nil && len(d.endpoint.Reports()) < int(loadTime.Seconds())-2 {
			err = fmt.Errorf("only %d reports came in %v", len(d.endpoint.Reports()), loadTime)
		}
		d.stop()
		if err != nil {
			return err
		}
		m.emit("latency/p99", pair, s.side, took{wall: quantile(times, 0.99)})
		m.emit("latency/p99.9", pair, s.side, took{wall: quantile(times, 0.999)})
	}
	return nil
}
