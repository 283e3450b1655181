package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

// buildApp builds test/apps/totals as Heroku does, and returns its program.
func (l *launcher) buildApp(ctx context.Context) (string, error) {
	environ, values, err := machine.Environ(ctx)
	if err != nil {
		return "", err
	}
	buildpack := filepath.Join(l.tmp, "buildpack")
	if err := machine.CopyBuildpack(buildpack, l.root); err != nil {
		return "", err
	}
	var log bytes.Buffer
	b := &herokugo.Build{
		App: filepath.Join(l.tmp, "app"), Cache: filepath.Join(l.cache, "app"), Env: filepath.Join(l.tmp, "env"),
		Environ: append(environ, "HOME="+l.tmp, "TMPDIR="+l.tmp, "STACK=heroku-24"), Stdout: &log, Stderr: &log,
	}
	source := filepath.Join(l.root, "test", "apps", "totals")
	if err := errors.Join(os.CopyFS(b.App, os.DirFS(source)), os.MkdirAll(b.Env, 0o777), b.InstallGo(values[0])); err != nil {
		return "", err
	}
	if err := b.Run(ctx, buildpack, filepath.Join(l.root, "test", "herokugo", "buildpack")); err != nil {
		return "", fmt.Errorf("%w\n%s", err, &log)
	}
	return filepath.Join(b.App, "bin", "totals"), nil
}

// A dyno is a process of the app.
type dyno struct {
	*program
	name string
	load int // how much work a request is
	url  string

	killed time.Time
	totals totals
}

// totals are what a process has read of itself lately, by the names of package
// runtime/metrics.
type totals struct {
	Names    []string
	Readings []struct {
		Begin, End time.Time
		Totals     []float64
	}
}

func (l *launcher) startDyno(ctx context.Context, app, endpoint string, n int) (*dyno, error) {
	d := &dyno{name: fmt.Sprintf("web.%d", n), load: 500 + 100*n}
	var err error
	if d.program, err = start(ctx, "totals listens on", l.tmp, []string{
		"PORT=0", "DYNO=" + d.name, "GOMEMLIMIT=400MiB", "HMETRICS_VERBOSE=1",
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + endpoint, "OTEL_SERVICE_NAME=fleet",
		fmt.Sprintf("OTEL_METRIC_EXPORT_INTERVAL=%d", l.interval.Milliseconds()),
	}, app); err != nil {
		return nil, err
	}
	log, _ := d.printed()
	d.url = "http://" + regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(log)
	return d, nil
}

// get makes a request over a connection of its own, of which nothing remains.
func (d *dyno) get(path string) ([]byte, error) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	r, err := client.Get(d.url + path)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	return io.ReadAll(r.Body)
}

// read asks the process for its totals.
func (d *dyno) read() error {
	b, err := d.get("/totals")
	if err != nil {
		return err
	}
	d.totals = totals{}
	return json.Unmarshal(b, &d.totals)
}

// work gives the process work until ctx ends.
func (d *dyno) work(ctx context.Context, leaks bool) error {
	for i := 1; pause(ctx, 100*time.Millisecond) == nil; i++ {
		_, err := d.get(fmt.Sprintf("/?n=%d", d.load))
		if err == nil && leaks && i%10 == 0 {
			_, err = d.get("/leak")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
	return nil
}

// around returns a total in the last reading before some time, in seconds, and in the
// first one after it. If none is before it that is no number, and if none is after it
// that may have been any.
func (t totals) around(at float64, name string) (before, after float64) {
	before, after = math.NaN(), math.Inf(1)
	for _, r := range t.Readings {
		v := r.Totals[slices.Index(t.Names, name)]
		if seconds(r.End) <= at {
			if !(v < before) {
				before = v
			}
		} else if seconds(r.Begin) > at+0.001 { // Prometheus has milliseconds
			after = min(after, v)
		}
	}
	return before, after
}
