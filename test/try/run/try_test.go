//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dsnet/try"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

// TestMain makes this program the command, too.
func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"try": main}) }

// TestTry runs the command on real apps, all of them at the same time: they share a
// CACHE_DIR, and the build cache of the go command that runs the tests, so that the
// standard library is compiled only once for all tests of this repository.
func TestTry(t *testing.T) {
	wd := try.E1(os.Getwd())
	// By names in this module, which are not cleaned: so go test runs it again when one of these files has changed.
	try.E(machine.CopyBuildpack(t.TempDir(), wd+"/../../.."))
	try.E(os.CopyFS(t.TempDir(), os.DirFS("../../herokugo/buildpack")))
	dir, cache, tmp := t.TempDir(), t.TempDir(), t.TempDir()
	archive := try.E1(txtar.ParseFile("testdata/apps.txtar"))
	try.E(txtar.Write(archive, dir))
	try.E(os.Symlink("../shop", filepath.Join(dir, "linked", "bin")))
	try.E(os.Symlink("linked", filepath.Join(dir, "link")))
	try.E(syscall.Mknod(filepath.Join(dir, "linked", "socket"), syscall.S_IFSOCK|0o666, 0))
	digest := func() string { // of names, modes, times and contents
		archive := try.E1(exec.Command("tar", "-c", "-C", dir, "--sort=name", ".").Output())
		return fmt.Sprintf("%x", sha256.Sum256(archive))
	}
	before := digest()
	environ := append(userEnviron(t, cache), "TMPDIR="+tmp)

	// Two runs never build with one CACHE_DIR at the same time.
	lock := try.E1(machine.Lock(cache))
	waiting := start(t, dir, environ, "-cache", cache, "shop")
	waiting.await("! try: waiting for another run that builds with " + cache)
	waiting.cmd.Process.Signal(os.Interrupt)
	waiting.end(1, "! try: interrupted before the app was started")
	lock.Close()

	commands := map[string]*command{}
	for args := range scenarios {
		commands[args] = start(t, dir, environ, append([]string{"-interval", "1s", "-cache", cache}, strings.Split(args, "  ")...)...)
	}
	for args, check := range scenarios {
		t.Run(args, func(t *testing.T) {
			commands[args].T = t
			check(commands[args])
		})
	}
	if after := digest(); after != before {
		t.Error("the sources have changed")
	}
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("%s is left in TMPDIR", left[0].Name())
	}
}

// The scenarios, by arguments that are separated by two spaces.
var scenarios = map[string]func(*command){
	"-json  -config  HMETRICS_PACKAGES=./cmd/clock ./cmd/reports ./cmd/quits  shop": testProcesses,
	"-config  GO_INSTALL_PACKAGE_SPEC=./cmd/clock  -config  COLOUR=blue  " +
		"-config  OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=  shop  --  a b  port=$PORT": testClock,
	"-for  2100ms  -config  GO_INSTALL_PACKAGE_SPEC=./cmd/deaf ./cmd/quits  -config  HMETRICS_PACKAGES=./cmd/quits  shop  --  get": ends(1, `
		! try: warning: quits\.1 may lack a config var: set it with -config NAME=VALUE, or in the app's \.env
		! try: stopping the app: SIGTERM, and after 5s SIGKILL
		! try: web\.1 was killed: it had not ended after SIGTERM; on Heroku it has 30 s
		! try: no report arrived: 0 reports and 0 exports by OTLP in 2\.\ds, .*; 1 request refused, the last one of quits: method GET, not POST`),
	"-json  -config  GO_INSTALL_PACKAGE_SPEC=./cmd/deaf  -config  HMETRICS_PACKAGES=./cmd/clock  shop": ends(1,
		`{"event":"result",.*"text":"nothing would report: the agent is in none of the app's programs; the log of the build says why","reported":false}`),
	"-config  GO_INSTALL_PACKAGE_SPEC=./testdata/broken  shop": ends(1, `
		!        testdata/broken/main\.go:3:15: undefined: missing
		! try: the app does not build, the output is above .*`),
	"-config  HMETRICS_INJECT=off": ends(1, `! try: copying .*/test/apps/plain to .*
		! try: the buildpack does not link the agent, so the app would not report; .*`),
	"link": ends(1, `! try: not copied: open link/socket: .*
		! try: bin in the app is a link to \.\./shop, .*`),
	"shop/cmd/clock":     ends(2, "! try: APP_DIR must be the root of a module, as on Heroku: .*/go.mod: .*"),
	"shop  -for  30s":    ends(2, `! try: unexpected "-for" after APP_DIR: flags go before it, .*`),
	"-interval  999ms":   ends(2, "! try: -interval 999ms is too short: at least 1s"),
	"-for  2s":           ends(2, "! try: -for 2s is too short: .*"),
	"-config  ../A=b":    ends(2, `! try: invalid value "../A=b" for flag -config: want NAME=VALUE`),
	"-page  127.0.0.1:x": ends(2, "! try: -page 127.0.0.1:x: .*"),
	"-cache=":            ends(2, "! try: -cache names no directory\n! try: for help, type: .*"),
	"-h":                 ends(0, "Examples:\n  -interval duration .*"),
}

func ends(status int, want string) func(*command) {
	return func(c *command) { c.end(status, want) }
}

// testProcesses looks at a web process that does not listen, one that has the agent, one
// that reports by itself and one that ends, while the endpoint fails for some time.
func testProcesses(c *command) {
	page := c.await(`"event":"page".*"url":"([^"]+)"`)[0]
	c.await(`"event":"export".*"process":"clock".*"export":{.*"go.memory.gc.cycles":[1-9]`)
	c.await(`"event":"report".*"process":"clock".*"report":{"counters":.*"counts":{"delivered":`)
	if body := c.press(page, "503"); !strings.Contains(body, "Nothing is sent: the program reports there by itself, with go.opentelemetry.io/") {
		c.Errorf("the page does not say why reports sends nothing by OTLP:\n%s", body)
	}
	c.await(`"process":"clock".*outage: the endpoint has the fault 503","outage":"began"`)
	c.await(`"process":"clock".*outage: pending \d+ collections?, .*"outage":"lasts"`)
	c.press(page, "none")
	c.await(`"process":"clock".*outage: over after \d\S+; \d+ collections? and \S+ were delivered, nothing is lost","outage":"over"`)
	c.await(`(?s)"outage":"over".*"event":"report"`) // of the next one nothing is to be told
	c.await(`"event":"warning",.*"text":"warning: web\.1 does not listen on PORT, \d+, after 5s; Heroku kills a web process that does not within 60 s"`)
	c.cmd.Process.Signal(os.Interrupt)
	c.end(0, `
		! clock\.1 \| clock\.1, greeting from \.env, price 5 \$HOME, COLOUR red
		! quits\.1 \| DATABASE_URL is not set
		{"event":"warning",.*"text":"warning: Procfile: other runs node, .*
		{"event":"warning",.*"text":"warning: Procfile: release is not run here; on Heroku .*: bin/quits migrate"}
		{"event":"up",.*"process":"web","text":"web\.1 is up: trap .*, PORT=\d+, not reporting: the agent is not in bin/deaf","port":\d+}
		{"event":"up",.*"process":"clock","text":"clock\.1 is up: .*, reporting every 1s, by OTLP too",.*
		{"event":"up",.*"process":"reports","text":"reports\.1 is up: .*, reporting by itself with github\.com/heroku/x/hmetrics",.*
		{"event":"exit",.*"process":"quits","text":"quits\.1 ended after \d\.\ds: exit status 4, before its first report"}
		{"event":"warning",.*"text":"warning: quits\.1 may lack a config var: set it with -config DATABASE_URL=VALUE, or in the app's \.env"}
		{"event":"result",.*"text":"\d+ reports and \d+ exports? by OTLP in .*, nothing is lost: web 0 and 0, clock .*","reported":true}`)
	for line := range strings.Lines(c.output) {
		var e event
		if err := json.Unmarshal([]byte(line), &e); !strings.HasPrefix(line, "! ") && (err != nil || e.Time.IsZero()) {
			c.Errorf("%s is no event: %v", line, err)
		}
	}
	if strings.Contains(c.output, "the fault none") {
		c.Error("there is an outage while the endpoint has no fault")
	}
	c.gone(c.await(`! web\.1 \| child (\d+)`)[0])
}

// testClock builds only one program of an app, and runs without -json.
func testClock(c *command) {
	c.await(`^ +\d+\.\ds  clock    +[\d.]+ [KM]iB +[\d.]+ KiB +[\d,]+ +4\.0 MiB +\d+ +\S+s +\d+$`)
	c.cmd.Process.Signal(os.Interrupt)
	c.end(0, `
		! try: the app has 3 variables from its \.env before it starts, as with heroku local; those that main loads itself come too late for the agent
		!        GREETING unset, GOFLAGS -toolexec=\S+, GOPRIVATE git\.example, GIT_TERMINAL_PROMPT 0, files \.env \.heroku \.profile\.d Procfile bin cmd go\.mod runtime testdata x
		! -----> Running: go install -v -tags heroku ./cmd/clock
		! try: clock\.1 is up: bin/clock a b port=\d+, PORT=\d+, reporting every 1s
		! clock\.1 \| clock\.1, greeting from \.env, price 5 \$HOME, COLOUR blue
		! clock\.1 \| stopping
		    time  process        heap       stack      objects        goal     GCs     pause  goroutines
		try: \d+ reports? and 0 exports by OTLP in \S+, nothing is lost: clock \d+ and 0`)
	port := c.await(`clock\.1 is up: .* port=(\d+), PORT=(\d+),`)
	process := c.await(`clock\.1 \| pid (\d+), arguments \["a b" "port=(\d+)"\]`)
	c.gone(process[0])
	if port[0] != port[1] || port[0] != process[1] {
		c.Errorf("$PORT is %s in the arguments and %s in the environment", process[1], port[1])
	}
	if strings.Contains(c.output, "\x1b") {
		c.Errorf("what is no terminal gets escape codes: %q", c.output)
	}
}

// A command is the command under test while it runs.
type command struct {
	*testing.T
	cmd    *exec.Cmd
	lines  chan string // of standard output and standard error: the latter begin with "! "
	output string      // those that were read
}

// start runs the command in dir.
func start(t *testing.T, dir string, environ []string, args ...string) *command {
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Minute)
	t.Cleanup(cancel)
	c := &command{T: t, cmd: exec.CommandContext(ctx, "try", args...), lines: make(chan string, 1<<16)}
	c.cmd.Dir, c.cmd.Env = dir, environ
	c.cmd.Stdout = &lineWriter{each: func(line []byte) { c.lines <- string(line) }}
	c.cmd.Stderr = &lineWriter{each: func(line []byte) { c.lines <- "! " + string(line) }}
	try.E(c.cmd.Start())
	go func() {
		c.cmd.Wait()
		close(c.lines)
	}()
	return c
}

// await waits until the output matches, and returns what the groups match.
func (c *command) await(re string) []string {
	c.Helper()
	for {
		if m := regexp.MustCompile("(?m)" + re).FindStringSubmatch(c.output); m != nil {
			return m[1:]
		}
		line, ok := <-c.lines
		if !ok {
			c.Fatalf("nothing matches %s in\n%s", re, c.output)
		}
		c.output += line + "\n"
	}
}

// end waits for the end of the command. Each line of want must match a whole line.
func (c *command) end(status int, want string) {
	c.Helper()
	for line := range c.lines {
		c.output += line + "\n"
	}
	if got := c.cmd.ProcessState.ExitCode(); got != status {
		c.Errorf("the exit status is %d, want %d, after\n%s", got, status, c.output)
	}
	for re := range strings.Lines(want) {
		if re = strings.TrimSpace(re); re != "" {
			c.await("^ *" + re + "$")
		}
	}
}

// press presses a button of the page, and returns the page.
func (c *command) press(page, fault string) string {
	req := try.E1(http.NewRequest("POST", page+"fault", strings.NewReader("fault="+fault)))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", strings.TrimSuffix(page, "/"))
	resp := try.E1(http.DefaultClient.Do(req))
	defer resp.Body.Close()
	body := try.E1(io.ReadAll(resp.Body))
	return string(body)
}

// userEnviron returns the environment of a user who has settings that are not the
// platform's, and lays out a CACHE_DIR that shares the user's build cache.
func userEnviron(t *testing.T, cache string) []string {
	environ, values := try.E2(machine.Environ(t.Context(), "GOCACHE"))
	gocache := values[1]
	home := t.TempDir()
	try.E(os.MkdirAll(filepath.Join(home, ".config", "go"), 0o777))
	try.E(os.WriteFile(filepath.Join(home, ".config", "go", "env"), []byte("GOOS=plan9\nGOPRIVATE=git.example\n"), 0o666))
	try.E((&herokugo.Build{Cache: cache}).InstallGo(values[0]))
	try.E(os.Symlink(gocache, filepath.Join(cache, ".heroku", "go", "go-build-cache")))
	return append(environ, "HOME="+home, "GOENV=", "GOCACHE="+gocache, "GOFLAGS=-mod=mod -tags=users", "GOBIN=/nowhere",
		"HMETRICS_VERBOSE=", "GREETING=from the user", "GIT_TERMINAL_PROMPT=0", "TERM=xterm")
}

// gone waits until a process no longer runs. A process without its parent may stay a zombie
// until init reaps it.
func (c *command) gone(pid string) {
	for late := time.Now().Add(10 * time.Second); time.Now().Before(late); {
		b, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil || bytes.Contains(b, []byte(") Z ")) {
			return
		}
	}
	c.Errorf("process %s still runs", pid)
}

func TestFindProcesses(t *testing.T) {
	const none = ", which is none of the app's Go programs, bin/web, bin/tool: it is not started here, and reports nothing\n"
	for procfile, want := range map[string]string{
		"# what runs\nweb: GOGC=50 ./bin/web -port $PORT\nworker:tool  --work\n": "web(web): GOGC=50 ./bin/web -port $PORT\nworker(tool): tool  --work\n",
		"release: bin/tool migrate\na: 'bin/web'\n": "Procfile: release is not run here; on Heroku it runs before each new release starts: bin/tool migrate\n" +
			"a(web): 'bin/web'\n",
		"web: node web\nassets: 'other/web'\nx: ''\n": "Procfile: web runs node" + none + "Procfile: assets runs other/web" + none + "Procfile: x runs " + none +
			"web(web): bin/web\ntool(tool): bin/tool\n",
		"web bin/web\nworker: A=b exec ./bin/wroker\n\n": "Procfile: line 1 is not NAME: COMMAND, so Heroku ignores it: web bin/web\n" +
			"Procfile: worker runs ./bin/wroker" + none + "web(web): bin/web\ntool(tool): bin/tool\n",
	} {
		dir := t.TempDir()
		try.E(os.WriteFile(filepath.Join(dir, "Procfile"), []byte(procfile), 0o666))
		var out bytes.Buffer
		list := try.E1((&session{stderr: &out, built: dir}).findProcesses([]string{"web", "tool"}))
		for _, p := range list {
			fmt.Fprintf(&out, "%s(%s): %s\n", p.name, p.binary, p.command)
		}
		if got := strings.ReplaceAll(out.String(), "try: warning: ", ""); got != want {
			t.Errorf("%q: got\n%s\nwant\n%s", procfile, got, want)
		}
	}
}
