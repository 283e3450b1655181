package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

//go:embed testdata/*.txtar
var apps embed.FS

const (
	buildTimeout = 10 * time.Minute
	// heroku/x/hmetrics reports after 20 s for the first time.
	runTimeout = 45 * time.Second

	// agentName is in every binary that holds the injected agent.
	agentName = "hmetrics.injected/agent/onload"

	// offLine is what the agent logs where another reporter is in the program.
	offLine = "[hmetrics] off: this program reports by itself"
)

// A trial is a cell that is being run.
type trial struct {
	lab  *lab
	cell cell
	work string   // the cell's own directory
	app  string   // BUILD_DIR
	env  []string // of the build, once the buildpack's export has been sourced
	log  bytes.Buffer
}

// run runs a cell.
func (l *lab) run(ctx context.Context, c cell) (r result) {
	start := time.Now()
	t := &trial{lab: l, cell: c}
	r.cell = c
	defer func() { r.took, r.log = time.Since(start), t.log.String() }()
	if c.needs != nil {
		if r.skipped = c.needs(ctx); r.skipped != "" {
			return r
		}
	}
	root := l.local
	if c.release != "" {
		var err error
		if root, err = machine.GOROOT(ctx, c.release); err != nil {
			r.skipped = err.Error()
			return r
		}
	}
	if err := t.prepare(ctx, root); err != nil {
		r.problem = "preparing: " + err.Error()
		return r
	}
	defer herokugo.RemoveAll(t.work)
	output, err := t.bash(ctx, t.env, c.build)
	if err != nil {
		r.problem = "building: " + err.Error()
		return r
	}
	said := reasons(output)
	r.seen, err = t.inspect(ctx)
	for _, line := range strings.Split(output, "\n") {
		if strings.HasPrefix(line, "note: ") {
			r.seen += "; " + strings.TrimPrefix(line, "note: ")
		}
	}
	if err == nil {
		err = c.judgeSaid(said, r.seen)
	}
	if err != nil {
		r.problem = err.Error()
	}
	return r
}

// reasons returns the lines of a build's output that are the buildpack's.
func reasons(output string) []string {
	var said []string
	for _, line := range strings.Split(output, "\n") {
		if strings.Contains(line, "hmetrics: ") {
			said = append(said, line)
		}
	}
	return said
}

// confirmation is what the buildpack says of a program that has the agent.
var confirmation = regexp.MustCompile(`hmetrics: agent v\S+ linked into \S+`)

// judgeSaid returns an error if the buildpack said what it should not, or not
// what it should.
func (c cell) judgeSaid(said []string, seen string) error {
	var problems []string
	confirmed := false
	for _, line := range said {
		if confirmation.MatchString(line) {
			confirmed = true
		} else {
			problems = append(problems, line)
		}
	}
	all := strings.Join(problems, "\n")
	for _, e := range c.expectations() {
		file := strings.ContainsAny(strings.Fields(e.command)[0], "/$")
		if file && !confirmed && (e.outcome == reports || e.outcome == off || e.outcome == holds) {
			return fmt.Errorf("%s, and the build does not say that the agent is linked", seen)
		}
	}
	switch {
	case c.says != "" && !regexp.MustCompile("(?m)"+c.says).MatchString(all):
		return fmt.Errorf("%s, and the build does not say %q but %q", seen, c.says, all)
	case c.says == "" && all != "":
		return fmt.Errorf("%s, and the build says %q", seen, all)
	}
	return nil
}

// prepare lays out the cell's directories and runs the buildpack.
func (t *trial) prepare(ctx context.Context, goroot string) error {
	t.work = filepath.Join(t.lab.tmp, strings.ReplaceAll(t.cell.name, "/", "_"))
	t.app = filepath.Join(t.work, "app")
	env := filepath.Join(t.work, "env")
	for _, dir := range []string{t.app, env, filepath.Join(t.work, "home"), filepath.Join(t.work, "tmp")} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return err
		}
	}
	if err := t.unpack(); err != nil {
		return err
	}
	for _, v := range t.cell.config {
		name, value, _ := strings.Cut(v, "=")
		if err := os.WriteFile(filepath.Join(env, name), []byte(value), 0o666); err != nil {
			return err
		}
	}

	environ := append(t.lab.environ[:len(t.lab.environ):len(t.lab.environ)],
		"PATH="+machine.Path(goroot),
		"HOME="+filepath.Join(t.work, "home"), "TMPDIR="+filepath.Join(t.work, "tmp"),
		"GOCACHE="+filepath.Join(t.lab.cache, "gocache"),
		"GOBIN="+filepath.Join(t.work, "bin"), "GOCOVERDIR="+filepath.Join(t.work, "tmp"),
		"LOCALGO="+filepath.Join(t.lab.local, "bin", "go"), "WORK="+t.work, "APP="+t.app, "KEPT="+filepath.Join(t.lab.cache, "kept"),
		"BUILDPACK="+t.lab.buildpack,
	)
	if t.cell.setup != "" {
		if _, err := t.bash(ctx, environ, t.cell.setup); err != nil {
			return err
		}
	}
	for _, v := range t.cell.env {
		environ = append(environ, os.Expand(v, func(name string) string {
			value, _ := herokugo.Getenv(environ, name)
			return value
		}))
	}

	cacheDir, lock := t.lab.cacheDir(t.cell.config)
	if err := os.MkdirAll(cacheDir, 0o777); err != nil {
		return err
	}
	b := &herokugo.Build{App: t.app, Cache: cacheDir, Env: env, Environ: environ, Stdout: &t.log, Stderr: &t.log}
	dir := &herokugo.Dir{Path: t.lab.buildpack, Tmp: t.work}
	lock.Lock()
	err := dir.Compile(ctx, b)
	lock.Unlock()
	if err == nil && !dir.Exported {
		err = errors.New("bin/compile left no export")
	}
	t.env = b.Environ
	return err
}

// unpack writes the sources of the cell's app.
func (t *trial) unpack() error {
	name := t.cell.app
	if name == "" {
		name = "plain"
	}
	data, err := apps.ReadFile(path.Join("testdata", name+".txtar"))
	if err != nil {
		return err
	}
	return txtar.Write(txtar.Parse(data), t.app)
}

// bash runs a script in the app's directory and returns what it prints.
func (t *trial) bash(ctx context.Context, env []string, script string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	fmt.Fprintf(&t.log, "$ %s\n", strings.TrimSpace(script))
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = t.app, append(env[:len(env):len(env)], "PWD="+t.app)
	var out output
	cmd.Stdout, cmd.Stderr = &out, &out
	err := herokugo.RunGroup(ctx, cmd)
	t.log.WriteString(out.String())
	return out.String(), err
}

// inspect looks at all that the cell expects something of, and says what it saw.
func (t *trial) inspect(ctx context.Context) (string, error) {
	var seen []string
	for _, e := range t.cell.expectations() {
		s, err := t.look(ctx, e)
		if err != nil {
			return "", fmt.Errorf("%s: %w", e.command, err)
		}
		seen = append(seen, s)
	}
	return strings.Join(seen, ", "), nil
}

// look looks at one program that the cell expects something of.
func (t *trial) look(ctx context.Context, e expectation) (string, error) {
	name := strings.Fields(e.command)[0]
	file := name
	if strings.HasPrefix(name, "$") {
		file = os.Expand(name, func(v string) string { value, _ := herokugo.Getenv(t.env, v); return value })
	} else if !filepath.IsAbs(file) {
		file = filepath.Join(t.app, file)
	}
	linked, isFile, err := holdsAgent(file)
	if err != nil {
		return "", err
	}
	if !isFile && strings.ContainsAny(name, "/.$") {
		return "", errors.New("it was not built")
	}
	if want := e.outcome == reports || e.outcome == off || e.outcome == holds; isFile && linked != want {
		if want {
			return "", errors.New("it does not hold the agent")
		}
		return "", errors.New("it holds the agent")
	}
	switch e.outcome {
	case holds:
		return "holds the agent", nil
	case without:
		return "no agent", nil
	}
	return t.start(ctx, e.command, e.outcome)
}

// holdsAgent reports whether a file holds the agent, and whether there is one.
func holdsAgent(file string) (linked, exists bool, err error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return false, false, nil
	}
	return bytes.Contains(b, []byte(agentName)), true, err
}

// start runs a program as a dyno with the labs flag would, until it has shown
// that it works and what became of its reports.
func (t *trial) start(ctx context.Context, command string, want outcome) (string, error) {
	srv, err := endpoint.Start(endpoint.Options{})
	if err != nil {
		return "", err
	}
	defer srv.Close()
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()

	works := t.cell.works
	if works == "" {
		works = "works"
	}
	out := &output{changed: make(chan struct{}, 1)}
	// The go command, which go run and go tool start, needs the build's
	// environment; a binary does not mind.
	cmd := exec.Command("bash", "-c", "exec "+command)
	cmd.Dir = t.app
	cmd.Env = append(t.env[:len(t.env):len(t.env)], "PWD="+t.app, "PORT=0", "DYNO=web.1",
		"HEROKU_METRICS_URL="+srv.URL("web"), "HMETRICS_INTERVAL=1s", "HMETRICS_VERBOSE=1",
		"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT="+srv.OTLPURL("web"), "OTEL_METRIC_EXPORT_INTERVAL=1000")
	cmd.Stdout, cmd.Stderr = out, out
	start := time.Now()
	running, kill := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- herokugo.RunGroup(running, cmd) }()
	defer func() {
		kill()
		<-ended
		fmt.Fprintf(&t.log, "$ %s\n%s", command, out.String())
	}()

	reported := make(chan error, 1)
	if want == reports {
		go func() {
			_, err := srv.Wait(running, 1)
			if err == nil && !t.cell.otlpOff {
				_, err = srv.WaitExports(running, 1)
			}
			reported <- err
		}()
	} else {
		reported <- nil
	}
	expected := regexp.MustCompile(works)
	worked := func() bool {
		s := out.String()
		return expected.MatchString(s) && (want != off || strings.Contains(s, offLine))
	}
	for settled := false; !settled || !worked(); {
		select {
		case <-out.changed:
		case err := <-reported:
			if err != nil {
				return "", fmt.Errorf("no report to both destinations in %v", runTimeout)
			}
			settled, reported = true, nil
		case err := <-ended:
			ended <- err
			if !settled || !worked() {
				return "", fmt.Errorf("it ended before it had reported and printed %q: %v", works, err)
			}
		case <-ctx.Done():
			return "", fmt.Errorf("in %v it has not reported and printed %q", runTimeout, works)
		}
	}
	for _, r := range srv.Rejected() {
		return "", fmt.Errorf("a report was refused: %s", r.Reason)
	}
	switch want {
	case reports:
		return fmt.Sprintf("reports after %.1f s", srv.Reports()[0].Received.Sub(start).Seconds()), nil
	case off:
		return "off: it reports by itself", nil
	}
	return "no agent, works", nil
}

// An output keeps what is written to it, and tells.
type output struct {
	mu      sync.Mutex
	b       bytes.Buffer
	changed chan struct{} // nil: nobody wants to know
}

var _ io.Writer = (*output)(nil)

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.b.Write(p)
	select {
	case o.changed <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
