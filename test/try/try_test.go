//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

// An output keeps what is written. As soon as the first step's expression matches in
// what was written since the step before, the step is taken, and the next one counts.
type output struct {
	mu    sync.Mutex
	buf   bytes.Buffer
	seen  int
	steps []step
}

type step struct {
	re   string
	then func(match []string)
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(p)
	for len(o.steps) > 0 {
		re := regexp.MustCompile(o.steps[0].re)
		m := re.FindStringSubmatch(o.buf.String()[o.seen:])
		if m == nil {
			break
		}
		o.seen = o.buf.Len()
		if then := o.steps[0].then; then != nil {
			then(m)
		}
		o.steps = o.steps[1:]
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// A tester runs the real chain: this checkout's buildpack, the Go of this machine,
// processes that listen on sockets. All runs have one CACHE_DIR, so that the
// standard library is compiled once.
type tester struct{ root, apps, cache string }

// try runs the app until it ends, or its standard output has taken the steps.
func (tt tester) try(t *testing.T, app string, steps []step, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Minute)
	defer stop()
	if len(steps) > 0 {
		steps[len(steps)-1].then = func([]string) { stop() }
	}
	out, log := &output{steps: steps}, &output{}
	s := &session{buildpack: tt.root, stdout: out, stderr: log, bootTime: time.Second, grace: 2 * time.Second}
	if s.options, err = parse(append([]string{"-interval", "1s", "-cache", tt.cache}, args...), io.Discard); err != nil {
		t.Fatal(err)
	}
	s.app = filepath.Join(tt.apps, app)
	// The user's own settings, which are not the platform's.
	s.environ = append(os.Environ(), "GOFLAGS=-mod=mod -tags=users", "GOOS=plan9", "GOBIN=/nowhere", "HMETRICS_VERBOSE=", "GREETING=from the user")
	before := digest(t, tt.apps)
	err = s.run(ctx)
	if ctx.Err() == context.DeadlineExceeded {
		t.Fatalf("it did not end\n%s\n%s", out, log)
	}
	if after := digest(t, tt.apps); after != before {
		t.Error("the sources have changed")
	}
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("%s is left in TMPDIR", left[0].Name())
	}
	return out.String(), log.String(), err
}

// digest returns what is below dir: names, modes, times and contents.
func digest(t *testing.T, dir string) string {
	t.Helper()
	archive, err := exec.Command("tar", "-c", "-C", dir, "--sort=name", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(archive))
}

func TestTry(t *testing.T) {
	if testing.Short() {
		t.Skip("builds apps")
	}
	root, err := machine.Checkout("")
	if err != nil {
		t.Fatal(err)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	// go test runs it again if a file has changed that was opened by a name in this module,
	// as those are that are not cleaned.
	for _, dir := range []string{"bin", "agent", "inject"} {
		fs.WalkDir(os.DirFS(wd+"/../.."), dir, func(string, fs.DirEntry, error) error { return nil })
	}
	archive, err := os.ReadFile("testdata/apps.txtar")
	if err != nil {
		t.Fatal(err)
	}
	tt := tester{root, writeFiles(t, string(archive)), os.Getenv("HMETRICS_TEST_CACHE")}
	if tt.cache == "" {
		tt.cache = t.TempDir()
	}
	if err := os.Chmod(filepath.Join(tt.apps, "web", "main.go"), 0o444); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"web/notes", "sibling/bin"} {
		if err := os.Symlink("../notes", filepath.Join(tt.apps, link)); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("web app", tt.testWebApp)
	t.Run("processes of all kinds", tt.testProcesses)
	t.Run("heroku/x loses counts", tt.testLoses)
	t.Run("one process until time is over", func(t *testing.T) {
		out, log, err := tt.try(t, "shop", nil, "-process", "clock", "-for", "2100ms", "-config", packages)
		match(t, fmt.Sprint(out, err), `in 2\.\ds from clock`)
		if strings.Contains(log, "reports.1") {
			t.Errorf("another process was started, too:\n%s", log)
		}
	})
	for name, c := range map[string]struct{ app, args, err, log string }{
		"app that does not compile": {"broken", "", "the app does not build", "./main.go:3:15: undefined: missing\n"},
		"bin that leads elsewhere":  {"sibling", "", "bin in the app is a link to " + tt.apps + "/notes", ""},
		"no go.mod":                 {"notes", "", "has no go.mod", ""},
		"injection switched off":    {"web", "-config HMETRICS_INJECT=off", "the buildpack does not link the agent, so the app would not report", ""},
		"agent in no program":       {"web", "-config HMETRICS_PACKAGES=./cmd/none", "nothing would report: the agent is not in bin/web; ", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, log, err := tt.try(t, c.app, nil, strings.Fields(c.args)...)
			if err == nil || !strings.Contains(err.Error(), c.err) || !strings.Contains(log, c.log) {
				t.Errorf("got the error %v, want one with %q\n%s", err, c.err, log)
			}
		})
	}
}

func (tt tester) testWebApp(t *testing.T) {
	line := step{re: `(?m)^ +\d+\.\ds  web      +[\d.]+ [KM]iB +[\d.]+ KiB +[\d,]+ +4\.0 MiB +\d+ +\S+s +\d+$`}
	out, log, err := tt.try(t, "web", []step{line, line}, "-config", "COLOUR=blue", "--", "one", "port=$PORT")
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	match(t, out, `(?m)^    time  process        heap       stack      objects        goal     GCs     pause  goroutines$`)
	match(t, out, `try: \d+ reports and \d+ exports? by OTLP in \d+\.\ds from web, nothing is lost\n$`)
	match(t, log, `-----> Running: go install -v -tags heroku  example.com/web \n`)
	port := match(t, log, `try: web\.1 is up: bin/web one port=(\d+), PORT=(\d+), reporting every 1s, by OTLP too\n`)
	if port[1] != port[2] {
		t.Errorf("$PORT is %s in the arguments and %s in the environment", port[1], port[2])
	}
	pid := match(t, log, `web\.1 \| pid (\d+) arguments one port=`+port[1]+`\n`)[1]
	match(t, log, `web\.1 \| web\.1 says hello from the sibling, COLOUR blue, greeting from .env, tags ""\n`)
	match(t, log, `web\.1 \| stopping\n`)
	match(t, log, `try: warning: Procfile: release is not run here`)
	if strings.Contains(log, "\x1b") {
		t.Errorf("what is no terminal gets escape codes: %q", log)
	}
	if running(pid) {
		t.Error("the app still runs")
	}
	if _, err := http.Get(match(t, log, `try: look at (http://127\.0\.0\.1:\d+/)\n`)[1]); err == nil {
		t.Error("the page is still served")
	}
}

// packages is a config var of the app shop: of its programs, one does not get the agent.
const packages = "HMETRICS_PACKAGES=./cmd/clock ./cmd/reports ./cmd/quits"

// A web process that does not listen, one that has the agent, one that reports by
// itself and one that ends, while the endpoint fails for some time.
func (tt tester) testProcesses(t *testing.T) {
	url, body := "", ""
	press := func(fault string) func([]string) {
		return func([]string) { body = pressButton(t, url, fault) }
	}
	out, log, err := tt.try(t, "shop", []step{
		{`"event":"page".*"url":"([^"]+)"`, func(m []string) { url = m[1] }},
		{`"event":"export".*"process":"clock".*"export":{.*"go.memory.gc.cycles":[1-9]`, nil},
		{`"event":"report".*"process":"clock".*"report":{"counters":`, press("503")},
		{`"process":"clock".*outage: the endpoint has the fault 503"`, nil},
		{`"process":"clock".*outage: pending \d+ collections?, .*"outage":"lasts"`, press("none")},
		{`"process":"clock".*outage: over after \d\S+; \d+ collections? and \S+ were delivered, nothing is lost"`, nil},
		{`"event":"report"`, nil},
	}, "-json", "-config", packages)
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, log)
	}
	for _, want := range []string{
		"Nothing is sent: the agent is not in bin/deaf.",
		"Nothing is sent: the program reports there by itself, with go.opentelemetry.io/contrib/instrumentation/runtime.",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page has no %q:\n%s", want, body)
		}
	}
	texts := ""
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		var e event
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Time.IsZero() || e.Event == "report" && (e.Counts == nil || !json.Valid(e.Report)) {
			t.Fatalf("%s is no event: %v", line, err)
		}
		texts += e.Event + ": " + e.Text + "\n"
	}
	for _, re := range []string{
		`warning: warning: Procfile: other runs node, `,
		`up: web\.1 is up: bin/deaf, PORT=\d+, not reporting: the agent is not in bin/deaf`,
		`up: clock\.1 is up: .*, reporting every 1s, by OTLP too`,
		`up: reports\.1 is up: .*, reporting by itself with github\.com/heroku/x/hmetrics`,
		`exit: quits\.1 exited with status 4 after \d+\.\ds, before its first report`,
		`warning: warning: quits\.1 may lack DATABASE_URL: set a config var with -config DATABASE_URL=VALUE, or in the app's \.env`,
		`warning: warning: web\.1 does not listen on PORT, \d+, after 1s; Heroku kills a web process that does not within 60 s`,
		`stopping: waiting up to 2s for the app to end; Ctrl-C again ends it at once`,
		`stopping: web\.1 was killed: `,
		`result: \d+ reports and \d+ exports by OTLP in .*, nothing is lost: web 0 and 0, clock \d+ and \d+, reports 0 and 0, quits 0 and 0\n$`,
	} {
		match(t, texts, `(?m)^`+re)
	}
	match(t, log, `quits\.1 \| DATABASE_URL is not set\n`)
	if !strings.HasSuffix(out, `"reported":true}`+"\n") {
		t.Errorf("the last event is not the result:\n%s", out)
	}
}

// The library that most Heroku Go apps report by loses what it cannot deliver.
func (tt tester) testLoses(t *testing.T) {
	if os.Getenv("HMETRICS_TEST_SLOW") == "" {
		t.Skip("takes more than a minute: set HMETRICS_TEST_SLOW=1")
	}
	url := ""
	tt.apps = filepath.Join(tt.root, "test", "apps")
	out, log, err := tt.try(t, "reports", []step{
		{`"url":"([^"]+)"`, func(m []string) { url = m[1] }},
		{`"event":"report"`, func([]string) { pressButton(t, url, "503") }},
		{`"lost":{"collections":[1-9]`, nil},
	}, "-json")
	if err != nil {
		t.Errorf("%v\n%s\n%s", err, out, log)
	}
}

// pressButton has the endpoint fail by a button of the page, and returns the page.
func pressButton(t *testing.T, url, fault string) string {
	req, err := http.NewRequest("POST", url+"fault", strings.NewReader("fault="+fault))
	if err != nil {
		t.Error(err)
		return ""
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", strings.TrimSuffix(url, "/"))
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}

// match returns what re and its groups match in s.
func match(t *testing.T, s, re string) []string {
	t.Helper()
	m := regexp.MustCompile(re).FindStringSubmatch(s)
	if m == nil {
		t.Fatalf("nothing matches %q in\n%s", re, s)
	}
	return m
}

// writeFiles writes a txtar archive to a new directory.
func writeFiles(t *testing.T, archive string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := txtar.Write(txtar.Parse([]byte(archive)), dir); err != nil {
		t.Fatal(err)
	}
	return dir
}
