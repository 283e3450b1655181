package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/dsnet/try"
	"github.com/prometheus/procfs"
	"golang.org/x/sync/errgroup"
)

// growth returns how many bytes the program of a side is larger than the plain one.
func (w *workspace) growth(ctx context.Context, s shape, side string) float64 {
	return float64(try.E1(os.Stat(w.binary(ctx, s, side))).Size() - try.E1(os.Stat(w.binary(ctx, s, plain))).Size())
}

// A dyno is a program that serves HTTP, and reports to a server of its own.
type dyno struct {
	cmd      *exec.Cmd
	log      bytes.Buffer
	address  string
	server   *httptest.Server
	reports  chan struct{} // has one for each that was accepted
	accepted int           // of those, how many were waited for
}

// startDyno starts a program that reports to Heroku or by OTLP. Package endpoint is too strict
// for the SDK's exports.
func startDyno(ctx context.Context, file string, otlp bool, interval time.Duration, env ...string) *dyno {
	l := try.E1(net.Listen("tcp", "127.0.0.1:0")) // where it may listen
	l.Close()
	d := &dyno{cmd: exec.CommandContext(ctx, file), address: l.Addr().String(), reports: make(chan struct{}, 1000)}
	d.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); err == nil && n > 0 {
			d.reports <- struct{}{}
		}
		w.Header().Set("Content-Type", r.Header.Get("Content-Type")) // an empty answer is one by OTLP, too
	}))
	d.cmd.Env = append(env, "PATH=/usr/bin:/bin", "PORT="+d.address[len("127.0.0.1:"):], "DYNO=web.1")
	if otlp {
		d.cmd.Env = append(d.cmd.Env, "OTEL_EXPORTER_OTLP_ENDPOINT="+d.server.URL, fmt.Sprint("OTEL_METRIC_EXPORT_INTERVAL=", interval.Milliseconds()))
	} else {
		d.cmd.Env = append(d.cmd.Env, "HEROKU_METRICS_URL="+d.server.URL, "HMETRICS_INTERVAL="+interval.String())
	}
	d.cmd.Stdout, d.cmd.Stderr = &d.log, &d.log
	try.E(d.cmd.Start())
	return d
}

func (d *dyno) stop() {
	d.cmd.Process.Kill()
	d.cmd.Wait()
	d.server.Close()
}

// settle is the time for what a process does after its report was accepted.
const settle = 300 * time.Millisecond

// after calls read once n reports were accepted and the process has settled.
func (d *dyno) after(ctx context.Context, n int, read func(*dyno) float64) float64 {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for ; d.accepted < n; d.accepted++ {
		select {
		case <-d.reports:
		case <-ctx.Done():
			d.stop()
			try.E(fmt.Errorf("%s: %d reports: %w\n%s", d.cmd.Path, d.accepted, ctx.Err(), &d.log))
		}
	}
	time.Sleep(settle)
	return read(d)
}

// cpu returns the process's CPU time in seconds, from the scheduler's count in nanoseconds.
func (d *dyno) cpu() (total float64) {
	for _, thread := range try.E1(procfs.AllThreads(d.cmd.Process.Pid)) {
		total += float64(try.E1(thread.Schedstat()).RunningNanoseconds) / 1e9
	}
	return total
}

// allocated returns the number of objects that a program with expvar has allocated.
func (d *dyno) allocated() float64 {
	resp := try.E1(http.Get("http://" + d.address + "/debug/vars"))
	defer resp.Body.Close()
	var vars struct{ Memstats struct{ Mallocs float64 } }
	try.E(json.NewDecoder(resp.Body).Decode(&vars))
	return vars.Memstats.Mallocs
}

// alternatives are what apps can import instead of having the agent linked.
var alternatives = []struct {
	app  shape
	side string
}{{webApp, library}, {otlpApp, sdk}}

// BenchmarkGrowth measures how many bytes the agent adds to a program.
func BenchmarkGrowth(b *testing.B) {
	w := open(b)
	for _, than := range alternatives {
		b.Run(than.app.name, func(b *testing.B) {
			report(b, "bytes", took{wall: w.growth(b.Context(), than.app, buildpack)}, took{wall: w.growth(b.Context(), than.app, than.side)})
		})
	}
}

// BenchmarkReport measures the CPU time of a report, by OTLP of an export, in an idle process,
// from the first to the third, at heroku/x's fixed interval. Garbage collection is off: one
// collection of the garbage from the app's start costs as much as ten reports, at an
// unpredictable time. An idle process's CPU time depends on the machine's caches, so several
// processes of each side run at the same time, with staggered starts.
func BenchmarkReport(b *testing.B) {
	const interval, reports, processes = 20 * time.Second, 2, 8
	w := open(b)
	for _, than := range alternatives {
		b.Run(than.app.name, func(b *testing.B) {
			ctx := b.Context()
			files := []string{w.binary(ctx, than.app, buildpack), w.binary(ctx, than.app, than.side)}
			var seconds [2][processes]float64
			var g errgroup.Group
			for i := range 2 * processes {
				d := startDyno(ctx, files[i%2], than.side == sdk, interval, "GOGC=off")
				defer d.stop()
				g.Go(func() (err error) {
					defer try.Handle(&err)
					first := d.after(ctx, 1, (*dyno).cpu)
					seconds[i%2][i/2] = (d.after(ctx, 1+reports, (*dyno).cpu) - first) / reports
					return nil
				})
				time.Sleep(200 * time.Millisecond)
			}
			try.E(g.Wait())
			slices.Sort(seconds[0][:])
			slices.Sort(seconds[1][:])
			report(b, "sec", took{wall: seconds[0][processes/2]}, took{wall: seconds[1][processes/2]})
		})
	}
}
