package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
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
		match(t, log, `web\.1 \| web\.1 says hello from the sibling, COLOUR blue, greeting from the user, tags ""\n`)
		match(t, log, `web\.1 \| stopping\n`)
		match(t, log, `try: look at http://127\.0\.0\.1:\d+/\n`)
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

	// show runs a trial, and calls each with every part that its page's stream has
	// until that says that it has seen enough.
	show := func(t *testing.T, app string, each func(url, id, html string) (enough bool)) {
		t.Helper()
		ctx, stop := context.WithTimeout(context.Background(), 5*time.Minute)
		defer stop()
		log := &notify{text: "try: look at http", up: make(chan struct{})}
		up := log.up
		tr := &trial{
			options:   options{app: app, interval: time.Second, cache: cache},
			buildpack: root,
			environ:   environ,
			stdout:    io.Discard,
			stderr:    log,
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
			var parts []struct{ ID, HTML string }
			if json.Unmarshal([]byte(strings.TrimPrefix(lines.Text(), "data: ")), &parts) != nil {
				continue
			}
			for _, part := range parts {
				enough = enough || each(url, part.ID, part.HTML)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("%v\n%s", err, log)
		}
		if _, err := http.Get(url); err == nil {
			t.Error("the page is still served")
		}
	}

	t.Run("page", func(t *testing.T) {
		proven := map[string]bool{}
		show(t, filepath.Join(apps, "two"), func(_, id, html string) bool {
			if strings.HasSuffix(id, "-proof") && strings.Count(html, "nothing lost") == 2 && strings.Contains(html, "true total") {
				proven[id] = true
			}
			return len(proven) == 2
		})
	})

	// The library that most Heroku Go apps report by loses what it cannot deliver.
	t.Run("heroku/x loses counts", func(t *testing.T) {
		if os.Getenv("HMETRICS_TEST_SLOW") == "" {
			t.Skip("takes more than a minute: set HMETRICS_TEST_SLOW=1")
		}
		faulty := false
		show(t, filepath.Join(root, "test", "apps", "reports"), func(url, id, html string) bool {
			switch {
			case id == "p0-proof" && !faulty && strings.Count(html, "nothing lost") == 2:
				faulty = true
				req, err := http.NewRequest("POST", url+"fault", strings.NewReader("fault=503"))
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
			case id == "p0-proof" && faulty && strings.Contains(html, " lost</span>"):
				t.Log(strings.Join(strings.Fields(regexp.MustCompile("<[^>]*>").ReplaceAllString(html, " ")), " "))
				return true
			}
			return false
		})
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

	t.Run("injection switched off", func(t *testing.T) {
		_, log, err := try(t, "web", 1, func(o *options) { o.config = configVars{"HMETRICS_INJECT=off"} })
		wantError(t, err, log, "the buildpack stepped aside, so the app would not report")
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
		{"-for -1s", "negative"},
		{"-config A", "want NAME=VALUE"},
		{"-config ../A=b", "want NAME=VALUE"},
		{"-nonsense", "not defined"},
	} {
		if _, err := parse(strings.Fields(tt.args), &usage); err == nil || !strings.Contains(err.Error(), tt.err) {
			t.Errorf("parse(%s) gives the error %v, want one with %q", tt.args, err, tt.err)
		}
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
