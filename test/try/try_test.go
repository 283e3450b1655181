//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

// TestTry runs the real chain: this checkout's buildpack, the Go of this machine,
// processes that listen on sockets. All runs have one CACHE_DIR, so that the
// standard library is compiled once.
func TestTry(t *testing.T) {
	if testing.Short() {
		t.Skip("builds apps")
	}
	root, err := machine.Checkout("")
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	archive, err := txtar.ParseFile(filepath.Join("testdata", "apps.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	apps := writeFiles(t, string(txtar.Format(archive)))
	// The user's own settings, which are not the platform's.
	environ := append(os.Environ(), "GOFLAGS=-mod=mod -tags=users", "GOOS=plan9", "GOBIN=/nowhere", "HMETRICS_VERBOSE=", "GREETING=from the user")

	// try runs a trial until it ends or its table has the given number of lines.
	try := func(t *testing.T, app string, lines int, change func(*options)) (stdout, stderr string, err error) {
		t.Helper()
		tmp := t.TempDir()
		t.Setenv("TMPDIR", tmp)
		ctx, stop := context.WithTimeout(context.Background(), 5*time.Minute)
		defer stop()
		// The header is a line, too.
		out := &untilLines{n: lines + 1, reached: stop}
		var log bytes.Buffer
		tr := &trial{
			options:   options{app: filepath.Join(apps, app), interval: time.Second, cache: cache},
			buildpack: root,
			environ:   environ,
			stdout:    out,
			stderr:    &log,
			bootTime:  time.Second,
		}
		if change != nil {
			change(&tr.options)
		}
		before := digest(t, apps)
		err = tr.run(ctx)
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			t.Fatalf("it did not end\n%s\n%s", out, &log)
		}
		if after := digest(t, apps); after != before {
			t.Errorf("the sources have changed from\n%s\nto\n%s", before, after)
		}
		if left, _ := os.ReadDir(tmp); len(left) > 0 {
			t.Errorf("%s is left in TMPDIR", left[0].Name())
		}
		return out.String(), log.String(), err
	}

	t.Run("web app", func(t *testing.T) {
		app := filepath.Join(apps, "web")
		if err := os.Chmod(filepath.Join(app, "main.go"), 0o444); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("../notes", filepath.Join(app, "notes")); err != nil {
			t.Fatal(err)
		}
		out, log, err := try(t, "web", 2, func(o *options) {
			o.args = []string{"one", "port=$PORT"}
			o.config = configVars{"COLOUR=blue"}
		})
		if err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
		match(t, out, `(?m)^    time        heap       stack      objects        goal     GCs     pause  goroutines$`)
		match(t, out, `(?m)^ +\d+\.\ds +[\d.]+ [KM]iB +[\d.]+ KiB +[\d,]+ +4\.0 MiB +\d+ +\S+s +\d+$`)
		match(t, out, `try: \d+ reports in \d+\.\ds from web\n$`)
		match(t, log, `-----> Running: go install -v -tags heroku  example.com/web \n`)
		port := match(t, log, `try: web\.1 is up: bin/web one port=(\d+), PORT=(\d+), reporting every 1s\n`)
		if port[1] != port[2] {
			t.Errorf("$PORT is %s in the arguments and %s in the environment", port[1], port[2])
		}
		match(t, log, `web\.1 \| arguments one port=`+port[1]+`\n`)
		match(t, log, `web\.1 \| web\.1 says hello from the sibling, COLOUR blue, greeting from .env, tags ""\n`)
		match(t, log, `web\.1 \| stopping\n`)
		match(t, log, `try: look at http://127\.0\.0\.1:\d+/\n`)
		match(t, log, `try: warning: Procfile: release is not run here`)
		if strings.Contains(log, "\x1b") {
			t.Errorf("what is no terminal gets escape codes: %q", log)
		}
		pid, err := strconv.Atoi(match(t, log, `web\.1 \| pid (\d+)\n`)[1])
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, 0); err == nil {
			t.Errorf("the app, process %d, still runs", pid)
		}
	})

	t.Run("two processes", func(t *testing.T) {
		out, log, err := try(t, "two", 4, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
		match(t, out, `(?m)^    time  process `)
		match(t, out, `(?m)^ +\d+\.\ds  api  `)
		match(t, out, `(?m)^ +\d+\.\ds  clock  `)
		match(t, out, `try: \d+ reports in \d+\.\ds: api \d+, clock \d+\n$`)
	})

	t.Run("one process of two", func(t *testing.T) {
		out, log, err := try(t, "two", 1, func(o *options) { o.process = "clock" })
		if err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
		match(t, out, `try: \d+ reports? in \d+\.\ds from clock\n$`)
		if strings.Contains(log, "api.1") {
			t.Errorf("another process was started, too:\n%s", log)
		}
	})

	// show runs a trial, calls each with every state of a process on its page until
	// that says that it has seen enough, and returns what was printed.
	show := func(t *testing.T, app string, each func(url, id, facts string) (enough bool)) string {
		t.Helper()
		ctx, stop := context.WithTimeout(context.Background(), 5*time.Minute)
		defer stop()
		log := &notify{text: "try: look at http", up: make(chan struct{})}
		up := log.up
		var out bytes.Buffer
		tr := &trial{
			options:   options{app: app, interval: time.Second, cache: cache},
			buildpack: root,
			environ:   environ,
			stdout:    &out,
			stderr:    log,
			bootTime:  time.Minute,
		}
		ended := make(chan error, 1)
		go func() { ended <- tr.run(ctx) }()
		select {
		case <-up:
		case err := <-ended:
			t.Fatalf("%v\n%s", err, log)
		}
		lock := tr.stderr.(lockedWriter).mu
		lock.Lock()
		url := match(t, log.String(), `try: look at (http://127\.0\.0\.1:\d+/)\n`)[1]
		lock.Unlock()

		// The stream ends together with the trial.
		resp, err := http.Get(url + "live")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		lines := bufio.NewScanner(resp.Body)
		lines.Buffer(nil, 4<<20)
		for enough := false; !enough; {
			if !lines.Scan() {
				t.Fatalf("the page's stream has ended: %v\n%s", lines.Err(), log)
			}
			var update struct{ Changed []struct{ ID, Facts string } }
			if json.Unmarshal([]byte(strings.TrimPrefix(lines.Text(), "data: ")), &update) != nil {
				continue
			}
			for _, c := range update.Changed {
				enough = enough || each(url, c.ID, c.Facts)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("%v\n%s", err, log)
		}
		if _, err := http.Get(url); err == nil {
			t.Error("the page is still served")
		}
		return out.String()
	}
	press := func(t *testing.T, url, fault string) {
		t.Helper()
		req, err := http.NewRequest("POST", url+"fault", strings.NewReader("fault="+fault))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", strings.TrimSuffix(url, "/"))
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
	}

	// An outage is told when it begins, while it lasts and when it is over.
	t.Run("outage", func(t *testing.T) {
		faulty, over := false, false
		out := show(t, filepath.Join(apps, "two"), func(url, id, facts string) bool {
			switch {
			case id == "p0" && !faulty && strings.Contains(facts, "nothing lost"):
				faulty = true
				press(t, url, "503")
			case id == "p0" && faulty && !over && strings.Contains(facts, "Outage: "):
				over = true
				press(t, url, "none")
			}
			return over && id == "p0" && strings.Contains(facts, "Last outage: ")
		})
		match(t, out, `(?m)^ +\d+\.\ds  api      outage: the endpoint has the fault 503$`)
		match(t, out, `(?m)^ +\d+\.\ds  api      outage: over after \d+\.\ds; \d+ collections? and \S+s were delivered, nothing is lost$`)
	})

	// The library that most Heroku Go apps report by loses what it cannot deliver.
	t.Run("heroku/x loses counts", func(t *testing.T) {
		if os.Getenv("HMETRICS_TEST_SLOW") == "" {
			t.Skip("takes more than a minute: set HMETRICS_TEST_SLOW=1")
		}
		faulty := false
		show(t, filepath.Join(root, "test", "apps", "reports"), func(url, id, facts string) bool {
			if !faulty && strings.Contains(facts, "nothing lost") {
				faulty = true
				press(t, url, "503")
			}
			return faulty && strings.Contains(facts, "counts are lost")
		})
	})

	t.Run("json", func(t *testing.T) {
		out, log, err := try(t, "two", 8, func(o *options) { o.json = true })
		if err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
		var seen []string
		for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
			var e event
			if err := json.Unmarshal([]byte(line), &e); err != nil || e.Time.IsZero() {
				t.Fatalf("%s is no event: %v", line, err)
			}
			if e.Event == "report" && (e.Counts == nil || !json.Valid(e.Report)) {
				t.Errorf("a report is %s", line)
			}
			if !slices.Contains(seen, e.Event) {
				seen = append(seen, e.Event)
			}
		}
		if got := strings.Join(seen, " "); got != "warning up page report result" || !strings.HasSuffix(out, `"reported":true}`+"\n") {
			t.Errorf("the events are %s:\n%s", got, out)
		}
	})

	t.Run("unknown process", func(t *testing.T) {
		_, log, err := try(t, "two", 1, func(o *options) { o.process = "nobody" })
		wantError(t, err, log, `the app has no process "nobody"; it has api, clock`)
	})

	t.Run("time is over", func(t *testing.T) {
		out, log, err := try(t, "two", 1000, func(o *options) { o.process, o.duration = "clock", 2*time.Second })
		if err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
		match(t, out, `in 2\.\ds from clock\n$`)
	})

	t.Run("app that exits at once", func(t *testing.T) {
		out, log, err := try(t, "exits", 1, nil)
		match(t, log, `web\.1 \| DATABASE_URL is not set\n`)
		match(t, log, `try: web\.1 exited with status 4 after \d+\.\ds, before its first report\n`)
		match(t, log, `try: warning: web\.1 may lack DATABASE_URL: set a config var with -config DATABASE_URL=VALUE, or in the app's \.env\n`)
		wantError(t, err, log, "no report arrived in ")
		if out != "" {
			t.Errorf("standard output has %q", out)
		}
	})

	t.Run("app that does not compile", func(t *testing.T) {
		_, log, err := try(t, "broken", 1, nil)
		match(t, log, `\./main\.go:3:15: undefined: missing\n`)
		wantError(t, err, log, "the app does not build")
	})

	t.Run("web process that does not listen", func(t *testing.T) {
		_, log, err := try(t, "deaf", 3, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
		match(t, log, `try: warning: web\.1 does not listen on PORT, \d+, after 1s; Heroku kills a web process that does not within 60 s\n`)
		match(t, log, `try: waiting up to 5s for web\.1 to end; Ctrl-C again ends it at once\n`)
		match(t, log, `try: web\.1 was killed: `)
	})

	t.Run("injection switched off", func(t *testing.T) {
		_, log, err := try(t, "web", 1, func(o *options) { o.config = configVars{"HMETRICS_INJECT=off"} })
		wantError(t, err, log, "the buildpack does not link the agent, so the app would not report")
	})

	t.Run("agent in one program of two", func(t *testing.T) {
		_, log, err := try(t, "two", 1, func(o *options) { o.config = configVars{"HMETRICS_PACKAGES=./cmd/api"} })
		if err != nil {
			t.Fatalf("%v\n%s", err, log)
		}
		match(t, log, `api\.1 is up: .*, reporting every 1s\n`)
		match(t, log, `clock\.1 is up: .*, not reporting: the agent is not in bin/clock\n`)
	})

	t.Run("agent in no program", func(t *testing.T) {
		_, log, err := try(t, "two", 1, func(o *options) { o.config = configVars{"HMETRICS_PACKAGES=./cmd/none"} })
		wantError(t, err, log, "nothing would report: the agent is not in bin/api, bin/clock; ")
	})

	t.Run("app that reports by itself", func(t *testing.T) {
		_, log, err := try(t, "reports", 1, func(o *options) {
			o.app, o.duration = filepath.Join(root, "test", "apps", "reports"), time.Second
		})
		wantError(t, err, log, "from web (reporting by itself with github.com/heroku/x/hmetrics)")
	})

	t.Run("bin that leads elsewhere", func(t *testing.T) {
		if err := os.Symlink("../notes", filepath.Join(apps, "broken", "bin")); err != nil {
			t.Fatal(err)
		}
		_, log, err := try(t, "broken", 1, nil)
		wantError(t, err, log, "bin in the app is a link to "+filepath.Join(apps, "notes"))
	})

	t.Run("no go.mod", func(t *testing.T) {
		_, log, err := try(t, "notes", 1, nil)
		wantError(t, err, log, "has no go.mod")
	})
}

func wantError(t *testing.T, err error, log, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("got the error %v, want one with %q\n%s", err, text, log)
	}
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

// untilLines is a writer that calls reached at its n-th line.
type untilLines struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	n       int
	reached func()
}

func (u *untilLines) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.buf.Write(p)
	if bytes.Count(u.buf.Bytes(), []byte("\n")) >= u.n {
		u.reached()
	}
	return len(p), nil
}

func (u *untilLines) String() string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.buf.String()
}

// digest returns a line with mode and content for everything below dir.
func digest(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content := []byte{}
		if info.Mode().IsRegular() {
			if content, err = os.ReadFile(path); err != nil {
				return err
			}
		}
		fmt.Fprintf(&b, "%s %v %x\n", path, info.Mode(), sha256.Sum256(content))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestParse(t *testing.T) {
	var usage bytes.Buffer
	o, err := parse([]string{"-for", "30s", "-config", "A=b=c", "-config", "D=", "-process", "web", "dir", "--", "-for", "--", "x"}, &usage)
	if err != nil {
		t.Fatal(err)
	}
	if o.app != "dir" || o.duration != 30*time.Second || o.interval != 2*time.Second || o.process != "web" ||
		strings.Join(o.args, " ") != "-for -- x" || strings.Join(o.config, " ") != "A=b=c D=" || o.cache == "" {
		t.Errorf("got %+v", o)
	}
	if o, err := parse([]string{"--", "x"}, &usage); err != nil || o.app != "" || len(o.args) != 1 {
		t.Errorf("got %+v, %v; want the default app and an argument", o, err)
	}
	for _, tt := range []struct{ args, err string }{
		{"dir -for 30s", "flags go before it"},
		{"-interval 999ms", "at least 1s"},
		{"-for 4s", "-for 4s is too short"},
		{"-config A", "want NAME=VALUE"},
		{"-config ../A=b", "want NAME=VALUE"},
		{"-nonsense", "not defined"},
		{"-page 127.0.0.1:x", "-page 127.0.0.1:x: "},
	} {
		_, err := parse(strings.Fields(tt.args), &usage)
		var out bytes.Buffer
		if status(err, &out) != 2 || !strings.Contains(out.String(), tt.err) || strings.Count(out.String(), tt.err) > 1 {
			t.Errorf("parse(%s) gives the error %v, printed as %q, want one with %q", tt.args, err, &out, tt.err)
		}
	}
	if usage.Len() > 0 {
		t.Errorf("errors are on standard output: %s", &usage)
	}
	if _, err := parse([]string{"-h"}, &usage); status(err, &usage) != 0 || !strings.Contains(usage.String(), "Examples:") || !strings.Contains(usage.String(), "-interval") {
		t.Errorf("-h gives the error %v and prints %s", err, &usage)
	}
}

// Two runs do not build with one CACHE_DIR at the same time.
func TestLock(t *testing.T) {
	dir := t.TempDir()
	log := &notify{text: "waiting for another run", up: make(chan struct{})}
	waiting := log.up
	tr := &trial{stderr: log}
	unlock, err := tr.lock(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if log.Len() > 0 {
		t.Errorf("the first run says %q", log)
	}
	second := make(chan func())
	go func() {
		unlock, err := tr.lock(context.Background(), dir)
		if err != nil {
			t.Error(err)
		}
		second <- unlock
	}()
	<-waiting
	select {
	case <-second:
		t.Fatal("two runs have the lock")
	default:
	}
	unlock()
	unlock = <-second

	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := tr.lock(ctx, dir); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("waiting ended with %v, want an interruption", err)
	}
	unlock()
}

func TestInterrupts(t *testing.T) {
	ctx, hurry := interrupts()
	syscall.Kill(os.Getpid(), syscall.SIGINT)
	<-ctx.Done()
	select {
	case <-hurry:
		t.Error("the first signal ends it at once")
	default:
	}
	syscall.Kill(os.Getpid(), syscall.SIGINT)
	<-hurry
}
