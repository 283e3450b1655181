package start

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
)

// programs holds the program of testdata/isolation, built in several ways.
var programs struct{ without, with, other, otherOTLP, race string }

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	if errno, err := strconv.ParseUint(os.Getenv("DENY_GETRANDOM"), 10, 16); err == nil {
		fmt.Fprintln(os.Stderr, denyGetrandom(os.Getenv("PROGRAM"), errno))
		return 1
	}
	// go test sees what this process opens, not what its go commands do.
	if _, err := os.ReadDir("testdata/isolation"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "start")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	build := func(name string, args ...string) string {
		exe := filepath.Join(dir, name)
		cmd := exec.Command(filepath.Join(runtime.GOROOT(), "bin", "go"), append(append([]string{"build", "-o", exe}, args...), "./testdata/isolation")...)
		cmd.Env = append(os.Environ(), "GOFLAGS=", "GOTOOLCHAIN=local")
		if out, e := cmd.CombinedOutput(); e != nil && err == nil {
			err = fmt.Errorf("%v: %s", e, out)
		}
		return exe
	}
	programs.without = build("without")
	programs.with = build("with", "-tags=withagent")
	if os.Getenv("HMETRICS_TEST_SLOW") == "1" {
		programs.race = build("race", "-tags=withagent", "-race")
	}
	const start = "github.com/hmetrics/heroku-buildpack-go-metrics/agent/internal/start."
	programs.other = build("other", "-tags=withagent", "-ldflags=-X "+start+"herokuReporter=example.com/other")
	programs.otherOTLP = build("otherotlp", "-tags=withagent", "-ldflags=-X "+start+"otlpReporter=example.com/other")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// The tests wait for their processes rather than compute.
	flag.Parse()
	flag.Set("test.parallel", "16")
	return m.Run()
}

// A process is a program that runs until its standard input is closed.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stderr *bufio.Reader
	stdout bytes.Buffer
}

func run(t *testing.T, exe string, env ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(exe)}
	p.cmd.Env = env // and nothing else
	p.cmd.Stdout = &p.stdout
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.stdin, p.stderr = stdin, bufio.NewReader(stderr)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cmd.Process.Kill() })
	return p
}

// line returns what is logged next, without the time.
func (p *process) line() string {
	p.t.Helper()
	line, err := p.stderr.ReadString('\n')
	if err != nil {
		p.t.Fatalf("%q, %v", line, err)
	}
	if len(line) < 20 {
		p.t.Fatalf("logged %q", line)
	}
	return strings.TrimSuffix(line[20:], "\n")
}

// end returns the rest of what the process wrote.
func (p *process) end() (stdout, stderr string) {
	p.t.Helper()
	p.stdin.Close()
	rest, err := io.ReadAll(p.stderr)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Wait(); err != nil {
		p.t.Fatalf("%v: %s", err, rest)
	}
	return p.stdout.String(), string(rest)
}

func serve(t *testing.T, faults ...endpoint.Fault) *endpoint.Server {
	t.Helper()
	s, err := endpoint.Start(endpoint.Options{Fault: endpoint.Script(faults...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func wait(t *testing.T, s *endpoint.Server, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := s.Wait(ctx, n); err != nil {
		t.Fatal(err)
	}
}

func TestAutomaticallyStartsReporting(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := run(t, programs.with, "HEROKU_METRICS_URL="+s.URL("web.1"), "HMETRICS_INTERVAL=1s", "DYNO=web.1")
	wait(t, s, 2)
	p.end()
}

// Importing onload changes nothing global, even after a report, and writes nothing.
func TestChangesNothingGlobal(t *testing.T) {
	t.Parallel()
	s := serve(t, endpoint.Status(404)) // an error is no reason to write either
	env := []string{"HEROKU_METRICS_URL=" + s.URL("web.1"), "HMETRICS_INTERVAL=1s", "CERTIFICATE=" + os.DevNull}
	without, _ := run(t, programs.without, env...).end()
	p := run(t, programs.with, env...)
	wait(t, s, 1)
	with, goroutines := p.end()
	if with != without {
		t.Errorf("with the agent\n%s\nwithout\n%s", with, without)
	}
	for _, want := range []string{"proxy http://proxy.invalid", "certificate roots 0", "time zone 1970-01-01 09:00:00 +0900 JST", "GOMAXPROCS"} {
		if !strings.Contains(without, want) {
			t.Errorf("the program did not say %q: %s", want, without)
		}
	}
	if !strings.HasPrefix(goroutines, "goroutine ") || !strings.Contains(goroutines, "agent/internal/start") {
		t.Errorf("something was written to standard error, or no agent ran: %s", goroutines)
	}
}

// guestFaults are answers that can make an HTTP client print, raise a signal, read forever or
// end the process.
func guestFaults() []endpoint.Fault {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	return []endpoint.Fault{
		endpoint.Status(200),
		endpoint.Raw("204 with a body", "HTTP/1.1 204 No Content\r\n\r\n{}"),
		endpoint.Raw("body longer than its length", ok+"more"),
		endpoint.Raw("two answers", ok+"HTTP/1.1 400 Bad Request\r\n\r\n"),
		endpoint.Raw("101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"),
		endpoint.Raw("103 without end", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 1<<16)),
		endpoint.Raw("head without end", "HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)),
		endpoint.Raw("HTTP/2", "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00"),
		endpoint.Raw("nothing", ""),
		{Name: "answer and reset", Serve: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1")
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			endpoint.ResetRead().Serve(w, r)
		}},
		endpoint.ResetRead(), endpoint.ResetUnread(), endpoint.EndlessBody(), endpoint.GzipBomb(), endpoint.SlowBody(time.Minute),
		endpoint.SlowHeaders(time.Minute), endpoint.BlackHole(), endpoint.PartialSuccess(1, "x"),
		endpoint.Status(307), endpoint.Redirect(302, "http://other.invalid/"), endpoint.Status(404), endpoint.Status(429), endpoint.Status(503),
	}
}

// Whatever the endpoint does, the agent causes no signal, and uses nothing that the program set
// for the whole process. Under the race detector the program does not end, although it sets
// these things without synchronization.
func TestIsAGuest(t *testing.T) {
	t.Parallel()
	for name, exe := range map[string]string{"plain": programs.with, "race": programs.race} {
		for _, secure := range []string{"Heroku", "OTLP"} {
			name, exe, secure := name, exe, secure
			t.Run(name+", TLS to "+secure, func(t *testing.T) {
				t.Parallel()
				if exe == "" {
					t.Skip("HMETRICS_TEST_SLOW is not 1")
				}
				isAGuest(t, exe, secure)
			})
		}
	}
}

func isAGuest(t *testing.T, exe, secure string) {
	certificate := filepath.Join(t.TempDir(), "certificate.pem")
	https, err := endpoint.SelfSigned(certificate)
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan bool, 2)
	server := func(destination string) string {
		script := guestFaults()
		n, o := int32(0), endpoint.Options{}
		o.Fault = func(endpoint.Request) endpoint.Fault {
			switch i := int(atomic.AddInt32(&n, 1)) - 1; {
			case i < len(script):
				return script[i]
			case i == len(script):
				over <- true
			}
			return endpoint.Fault{}
		}
		if destination == secure {
			o.TLS = https
		}
		s, err := endpoint.Start(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		return s.URL("web.1")
	}
	p := run(t, exe, "TRAPS=1", "HEROKU_METRICS_URL="+server("Heroku"), "OTEL_EXPORTER_OTLP_ENDPOINT="+server("OTLP"), "SSL_CERT_FILE="+certificate,
		"HMETRICS_INTERVAL=1s", "HMETRICS_TIMEOUT=500ms", "OTEL_METRIC_EXPORT_INTERVAL=1000", "OTEL_EXPORTER_OTLP_TIMEOUT=500")
	// These speak first, or cannot be found.
	unasked, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer unasked.Close()
	asked := make(chan bool, 1000)
	go func() {
		for c, err := unasked.Accept(); err == nil; c, err = unasked.Accept() {
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\nand more")
			asked <- true
		}
	}()
	p2 := run(t, exe, "TRAPS=1", "HEROKU_METRICS_URL=http://"+unasked.Addr().String(), "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector.test", "HMETRICS_INTERVAL=1s", "OTEL_METRIC_EXPORT_INTERVAL=1000")
	patience := time.After(time.Minute)
	for n, m := 0, 0; n < 4 || m < 2; {
		select {
		case <-asked:
			n++
		case <-over:
			m++
		case <-patience:
			t.Errorf("%d unasked answers, and %d destinations have done with their faults", n, m)
			n, m = 4, 2
		}
	}
	for _, p := range []*process{p, p2} {
		if out, stderr := p.end(); out != "used: []\nby the program: [http.DefaultClient http.DefaultTransport log net.DefaultResolver os.Stderr os.Stdout rand.Reader signal broken pipe] trap\n" || stderr != "" {
			t.Errorf("%s%s", out, stderr)
		}
	}
}

// Tools that trace net/http in a whole program do so in its Transport, which the agent does not
// use.
func TestRequestsAreNotMadeByHTTPTransport(t *testing.T) {
	t.Parallel()
	arrived := make(chan bool, 100)
	s, err := endpoint.Start(endpoint.Options{Fault: func(endpoint.Request) endpoint.Fault {
		arrived <- true
		return endpoint.BlackHole()
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	p := run(t, programs.with, "HEROKU_METRICS_URL="+s.URL("web.1"), "HMETRICS_INTERVAL=3s")
	<-arrived
	if _, goroutines := p.end(); !strings.Contains(goroutines, ".RoundTrip(") || strings.Contains(goroutines, "net/http.(*Transport)") {
		t.Errorf("while a request is made: %s", goroutines)
	}
}

// A sandbox may deny getrandom, which crypto/tls takes for the end of the process unless
// the kernel does not know the call.
func TestSurvivesASandboxWithoutRandomNumbers(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for errno, want := range map[syscall.Errno]string{
		syscall.EPERM:  ": no random numbers for TLS: getrandom: operation not permitted (intervals pending: 1)",
		syscall.ENOSYS: ": tls: first record does not look like a TLS handshake (intervals pending: 1)",
	} {
		p := run(t, os.Args[0], fmt.Sprintf("DENY_GETRANDOM=%d", errno), "PROGRAM="+programs.with,
			"HEROKU_METRICS_URL="+strings.Replace(s.URL("web.1"), "http", "https", 1), "HMETRICS_INTERVAL=1s", "HMETRICS_VERBOSE=1")
		if line := p.line(); !strings.HasSuffix(line, want) {
			t.Errorf("%v: logged %q", errno, line)
		}
		p.end()
	}
}

// denyGetrandom has the program take the place of this process, in a sandbox that
// answers with an error to getrandom.
func denyGetrandom(exe string, errno uint64) error {
	runtime.LockOSThread()
	filter := []syscall.SockFilter{
		{Code: syscall.BPF_LD | syscall.BPF_W | syscall.BPF_ABS}, // the number of the call
		{Code: syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K, Jf: 1, K: map[string]uint32{"amd64": 318, "arm64": 278}[runtime.GOARCH]},
		{Code: syscall.BPF_RET, K: 0x50000 | uint32(errno)}, // SECCOMP_RET_ERRNO
		{Code: syscall.BPF_RET, K: 0x7fff0000},              // SECCOMP_RET_ALLOW
	}
	program := syscall.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	const noNewPrivileges, seccomp, seccompFilter = 38, 22, 2
	syscall.Syscall6(syscall.SYS_PRCTL, noNewPrivileges, 1, 0, 0, 0, 0)
	if _, _, errno := syscall.Syscall(syscall.SYS_PRCTL, seccomp, seccompFilter, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return errno
	}
	return syscall.Exec(exe, []string{exe}, os.Environ())
}

// A program has one interval to set what is read once per process.
func TestReadsNoProcessStateInTheFirstInterval(t *testing.T) {
	t.Parallel()
	certificate := filepath.Join(t.TempDir(), "certificate.pem")
	https, err := endpoint.SelfSigned(certificate)
	if err != nil {
		t.Fatal(err)
	}
	s, err := endpoint.Start(endpoint.Options{TLS: https})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	// Several, as their phases are random.
	var processes [4]*process
	for i := range processes {
		processes[i] = run(t, programs.with, "HEROKU_METRICS_URL="+s.URL("web.1"), "HMETRICS_INTERVAL=2s", "HMETRICS_VERBOSE=1", "HMETRICS_RETRIES=none", "CERTIFICATE="+certificate)
	}
	time.Sleep(1500 * time.Millisecond)
	for _, p := range processes {
		io.WriteString(p.stdin, "set them\n")
	}
	for _, p := range processes {
		for _, want := range []string{"[hmetrics] HMETRICS_RETRIES must be a whole number from 0 up: using 3", "[hmetrics] reporting"} {
			if got := p.line(); got != want {
				t.Errorf("logged %q, want %q", got, want)
			}
		}
		out, _ := p.end()
		for _, want := range []string{"proxy http://proxy.invalid", "certificate roots 1 ", "time zone 1970-01-01 09:00:00 +0900 JST"} {
			if !strings.Contains(out, want) {
				t.Errorf("the program says not %q: %s", want, out)
			}
		}
	}
}

// While it is off, the agent runs no goroutine, so it makes no connection.
func TestOff(t *testing.T) {
	t.Parallel()
	limit := "[hmetrics] memory limit of 419430400 bytes: set by HMETRICS_MEMORY_LIMIT\n"
	if strings.HasPrefix(runtime.Version(), "go1.18") {
		limit = "[hmetrics] HMETRICS_MEMORY_LIMIT sets no memory limit: that needs Linux and Go 1.19\n"
	}
	for _, c := range []struct{ name, exe, env, verbose string }{
		{"without the flag", programs.with, "", ""},
		{"with an empty URL", programs.with, "HEROKU_METRICS_URL=", ""},
		{"with a blank URL", programs.with, "HEROKU_METRICS_URL=\u00a0", ""},
		{"heroku run", programs.with, "HEROKU_METRICS_URL=URL DYNO=run.1234", "[hmetrics] off: run.1234 is a one-off dyno: set HMETRICS_ONE_OFF=true to report from these too\n"},
		{"release phase", programs.with, "HEROKU_METRICS_URL=URL DYNO=release.1", "[hmetrics] off: release.1 is a one-off dyno: set HMETRICS_ONE_OFF=true to report from these too\n"},
		{"one-off badly set", programs.with, "HEROKU_METRICS_URL=URL DYNO=run.1 HMETRICS_ONE_OFF=perhaps", "[hmetrics] HMETRICS_ONE_OFF must be true or false: using false\n[hmetrics] off: run.1 is a one-off dyno: set HMETRICS_ONE_OFF=true to report from these too\n"},
		{"OTLP without an endpoint", programs.with, "OTEL_EXPORTER_OTLP_ENDPOINT= OTEL_METRICS_EXPORTER=otlp", ""},
		{"OTLP by gRPC", programs.with, "OTEL_EXPORTER_OTLP_ENDPOINT=URL OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "[hmetrics] OTLP: off: the protocol \"grpc\" is not supported: set OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=http/protobuf, and the endpoint to the port for that, usually 4318\n"},
		{"OTLP, heroku run", programs.with, "OTEL_EXPORTER_OTLP_ENDPOINT=URL DYNO=run.1", "[hmetrics] OTLP: off: run.1 is a one-off dyno: set HMETRICS_ONE_OFF=true to report from these too\n"},
		{"a memory limit", programs.with, "HMETRICS_MEMORY_LIMIT=400MiB", limit},
		{"another reporter by OTLP", programs.otherOTLP, "OTEL_EXPORTER_OTLP_ENDPOINT=URL", "[hmetrics] OTLP: off: this program links example.com/other, and two reporters would count everything twice: if it is never started, set OTEL_METRICS_EXPORTER=otlp\n"},
		{"another reporter", programs.other, "HEROKU_METRICS_URL=URL", "[hmetrics] off: this program links example.com/other, and two reporters would count everything twice\n"},
	} {
		c := c
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			env := strings.Fields(strings.ReplaceAll(c.env, "=URL", "="+s.URL("web.1")))
			if _, stderr := run(t, c.exe, env...).end(); stderr != "" {
				t.Errorf("wrote or ran %q", stderr)
			}
			p, printed := run(t, c.exe, append(env, "HMETRICS_VERBOSE=1", "HMETRICS_INTERVAL=1s", "OTEL_METRIC_EXPORT_INTERVAL=1000")...), ""
			for i := strings.Count(c.verbose, "\n"); i > 0; i-- {
				printed += p.line() + "\n"
			}
			_, stderr := p.end()
			if printed += stderr; printed != c.verbose {
				t.Errorf("verbose: got %q, want %q", printed, c.verbose)
			}
			s.Close()
			if n := len(s.Reports()) + len(s.Exports()) + len(s.Rejected()); n != 0 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// An init function that runs after this package's may set DefaultEndpoint.
func TestDefaultEndpointOfALaterInitFunction(t *testing.T) {
	t.Parallel()
	for name, env := range map[string]string{
		"set":      "HEROKU_METRICS_URL=", // "": off, as far as can be known
		"replaced": "HEROKU_METRICS_URL=http://metrics.invalid/",
	} {
		env := env
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			p := run(t, programs.with, env, "LATER_ENDPOINT="+s.URL("web.1"), "HMETRICS_INTERVAL=1s")
			wait(t, s, 1)
			p.end()
		})
	}
}

// A variable that an init function sets, as godotenv/autoload does, counts.
func TestVariableOfAnInitFunction(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := run(t, programs.with, "HEROKU_METRICS_URL=http://metrics.invalid/", "DOTENV="+s.URL("web.1"), "HMETRICS_INTERVAL=1s")
	wait(t, s, 1)
	p.end()
}

// The destinations are independent: neither affects the other, and there is no goroutine for
// one that is off.
func TestTwoDestinations(t *testing.T) {
	t.Parallel()
	const heroku, otlp = "HEROKU_METRICS_URL=", "OTEL_EXPORTER_OTLP_ENDPOINT="
	down := "http://127.0.0.1:1/0123456789"
	for _, c := range []struct {
		name, exe             string
		heroku, otlp          string // where to; "up" is a server
		goroutines            int    // of package start
		herokuLine, otherLine string
	}{
		{"Heroku alone", programs.with, "up", "", 1, "[hmetrics] reporting", ""},
		{"OTLP alone", programs.with, "", "up", 1, "", "[hmetrics] OTLP: reporting"},
		{"both", programs.with, "up", "up", 2, "[hmetrics] reporting", "[hmetrics] OTLP: reporting"},
		{"Heroku down", programs.with, down, "up", 2, "[hmetrics] error: reporting Go metrics to http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused (intervals pending: 1)", "[hmetrics] OTLP: reporting"},
		{"OTLP down", programs.with, "up", down, 2, "[hmetrics] reporting", "[hmetrics] OTLP: error: reporting Go metrics to http://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused (intervals pending: 1)"},
		{"Heroku off", programs.other, "up", "up", 1, "[hmetrics] off: this program links example.com/other, and two reporters would count everything twice", "[hmetrics] OTLP: reporting"},
		{"OTLP off", programs.otherOTLP, "up", "up", 1, "[hmetrics] reporting", "[hmetrics] OTLP: off: this program links example.com/other, and two reporters would count everything twice: if it is never started, set OTEL_METRICS_EXPORTER=otlp"},
	} {
		c := c
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			up := func(url string) string {
				if url == "up" {
					return s.URL("web.1")
				}
				return url
			}
			p := run(t, c.exe, heroku+up(c.heroku), otlp+up(c.otlp), "HMETRICS_INTERVAL=1s", "OTEL_METRIC_EXPORT_INTERVAL=1000", "HMETRICS_RETRIES=0", "HMETRICS_VERBOSE=1")
			want := map[string]bool{c.herokuLine: true, c.otherLine: true}
			delete(want, "")
			for len(want) > 0 {
				line := p.line()
				if !want[line] {
					t.Errorf("logged %q", line)
				}
				delete(want, line)
			}
			_, goroutines := p.end()
			if n := strings.Count(goroutines, "agent/internal/start.keepReporting("); n != c.goroutines {
				t.Errorf("%d goroutines of start: %s", n, goroutines)
			}
			if n := len(s.Reports()); (n > 0) != (c.herokuLine == "[hmetrics] reporting") {
				t.Errorf("%d reports", n)
			}
			if n := len(s.Exports()); (n > 0) != (c.otherLine == "[hmetrics] OTLP: reporting") {
				t.Errorf("%d exports", n)
			}
			for _, r := range s.Rejected() {
				t.Errorf("rejected: %s", r.Reason)
			}
		})
	}
}

// Header values are credentials, and so are parts of the endpoint.
func TestNoSecretOfOTLPIsLogged(t *testing.T) {
	t.Parallel()
	const token = "t0ken-of-sorts"
	s := serve(t, endpoint.PartialSuccess(1, "no such tenant: "+token), endpoint.Raw("junk", "nothing-for:"+token[:8]+"\r\n\r\n"), endpoint.Status(401))
	url := s.URL("web.1")
	p := run(t, programs.with, "OTEL_EXPORTER_OTLP_ENDPOINT="+url, "OTEL_METRIC_EXPORT_INTERVAL=1000", "OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20"+token, "OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "HMETRICS_RETRIES=0", "HMETRICS_VERBOSE=1")
	for _, want := range []string{"rejected 1 data points;", "malformed", "401 Unauthorized", "reporting"} {
		line := p.line()
		if !strings.Contains(line, want) || strings.Contains(line, token[:6]) || strings.Contains(line, url[strings.LastIndex(url, "/"):]) {
			t.Errorf("logged %q, want %q", line, want)
		}
	}
	p.end()
	if e := s.Exports(); len(e) == 0 || !e[0].Gzip {
		t.Errorf("got %d exports, or they are not compressed", len(e))
	}
}

func TestOneOffDynosReportIfSet(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := run(t, programs.with, "HEROKU_METRICS_URL="+s.URL("run.1"), "HMETRICS_INTERVAL=1s", "DYNO=run.1", "HMETRICS_ONE_OFF=1")
	wait(t, s, 1)
	p.end()
}

// The agent uses the proxies of the environment. The endpoint's name does not resolve, so a
// report can only arrive through the proxy.
func TestUsesTheProxyOfTheEnvironment(t *testing.T) {
	t.Parallel()
	s := serve(t)
	url := s.URL("web.1")
	hosts := make(chan string, 10)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts <- r.URL.Host
		s.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	p := run(t, programs.with, "HEROKU_METRICS_URL=http://metrics.invalid"+url[strings.LastIndex(url, "/"):], "HMETRICS_INTERVAL=1s", "HTTP_PROXY="+proxy.URL)
	wait(t, s, 1)
	if host := <-hosts; host != "metrics.invalid" {
		t.Errorf("the proxy was asked for %q", host)
	}
	p.end()
}

func TestLogsChangesWhenVerbose(t *testing.T) {
	t.Parallel()
	down, denied := endpoint.Status(503), endpoint.Status(401)
	s := serve(t, down, down, denied, endpoint.Status(200), denied, endpoint.Status(200))
	url := s.URL("web.1")
	p := run(t, programs.with, "HEROKU_METRICS_URL="+url, "HMETRICS_INTERVAL=1s", "HMETRICS_VERBOSE=true", "HMETRICS_RETRIES=0", "HMETRICS_TIMEOUT=never")
	to := "[hmetrics] error: reporting Go metrics to " + url[:strings.LastIndex(url, "/")]
	for _, want := range []string{
		"[hmetrics] HMETRICS_TIMEOUT must be a Go duration of at least 100ms, such as 10s: using 10s",
		to + ": the endpoint answered 503 Service Unavailable (intervals pending: 1)", // the second is the same
		to + ": the endpoint answered 401 Unauthorized (intervals pending: 3)",
		"[hmetrics] reporting",
		to + ": the endpoint answered 401 Unauthorized (intervals pending: 1)",
		"[hmetrics] reporting again (intervals that were pending: 1)",
	} {
		if got := p.line(); got != want {
			t.Errorf("logged %q, want %q", got, want)
		}
	}
	p.end()
}

// The local port of a connection changes each time.
func TestALastingFailureIsLoggedOnce(t *testing.T) {
	t.Parallel()
	s := serve(t, endpoint.ResetRead(), endpoint.ResetRead(), endpoint.ResetRead())
	p := run(t, programs.with, "HEROKU_METRICS_URL="+s.URL("web.1"), "HMETRICS_INTERVAL=1s", "HMETRICS_VERBOSE=true", "HMETRICS_RETRIES=0")
	if got := p.line(); !strings.Contains(got, "reset by peer (intervals pending: 1)") {
		t.Errorf("logged %q", got)
	}
	if got := p.line(); got != "[hmetrics] reporting" {
		t.Errorf("logged %q", got)
	}
	p.end()
}

func TestLogsAnInvalidURL(t *testing.T) {
	t.Parallel()
	p := run(t, programs.with, "HEROKU_METRICS_URL=secret", "HMETRICS_VERBOSE=1", "HMETRICS_INTERVAL=1s")
	if got := p.line(); !strings.HasPrefix(got, "[hmetrics] error: ") || !strings.Contains(got, "HEROKU_METRICS_URL") || strings.Contains(got, "secret") {
		t.Errorf("logged %q", got)
	}
	p.end()
}

// backoffs returns how long keepReporting waits between reports with the given results and
// durations.
func backoffs(reports ...func() (time.Duration, error)) (waits []time.Duration, logged []string) {
	now := time.Unix(0, 0)
	l := &logger{log: func(lines ...string) { logged = append(logged, lines...) }}
	keepReporting(l, func() {}, func() error {
		if len(reports) == 0 {
			return nil
		}
		report := reports[0]
		reports = reports[1:]
		took, err := report()
		now = now.Add(took)
		return err
	}, func() time.Time { return now }, func(d time.Duration) { waits = append(waits, d) })
	return waits, logged
}

func failAfter(d time.Duration) func() (time.Duration, error) {
	return func() (time.Duration, error) { return d, errors.New("failed") }
}

func TestBacksOffIn10SecondIncrements(t *testing.T) {
	f := failAfter(time.Second)
	waits, logged := backoffs(f, f, f, f, f)
	if fmt.Sprint(waits) != "[10s 20s 30s 40s 50s]" {
		t.Errorf("waits %v", waits)
	}
	if len(logged) != 1 || logged[0] != "error: failed (intervals pending: 1)" {
		t.Errorf("logged %q, want a lasting failure once", logged)
	}
}

func TestFiveGoodMinutesResetTheBackoff(t *testing.T) {
	f := failAfter(5 * time.Minute)
	waits, _ := backoffs(f, f, failAfter(5*time.Minute+1), f)
	if fmt.Sprint(waits) != "[10s 20s 10s 20s]" {
		t.Errorf("waits %v", waits)
	}
}

func TestAPanicIsContainedAndReportingResumesAfterTheBackoff(t *testing.T) {
	resumed := false
	waits, logged := backoffs(
		func() (time.Duration, error) { panic("provoked") },
		func() (time.Duration, error) { resumed = true; return 0, errors.New("failed") },
	)
	if !resumed || fmt.Sprint(waits) != "[10s 20s]" || len(logged) != 2 || !strings.Contains(logged[0], "provoked") {
		t.Errorf("resumed %v, waits %v, logged %q", resumed, waits, logged)
	}
}

// The program's log writer may panic.
func TestAPanicOfTheLogIsContained(t *testing.T) {
	l := &logger{log: func(...string) { panic("from the logger") }}
	n := 0
	keepReporting(l, func() {}, func() error {
		if n++; n == 3 {
			return nil
		}
		err := errors.New("failed")
		l.failed(err)
		return err
	}, time.Now, func(time.Duration) {})
	if n != 3 {
		t.Errorf("%d reports", n)
	}
}

// While the agent is off, its own packages allocate almost nothing at the start of the process.
// The test also prints what its dependencies allocate.
func TestCostOfBeingOff(t *testing.T) {
	_, trace := run(t, programs.with, "GODEBUG=inittrace=1").end()
	const agent = "github.com/hmetrics/heroku-buildpack-go-metrics/agent"
	ours, others, seen := 0, map[string]int{}, false
	for _, m := range regexp.MustCompile(`(?m)^init (\S+) @.* (\d+) allocs`).FindAllStringSubmatch(trace, -1) {
		allocs, err := strconv.Atoi(m[2])
		if err != nil {
			t.Fatal(err)
		}
		seen = seen || m[1] == agent+"/internal/reporter"
		if strings.HasPrefix(m[1], agent) && !strings.Contains(m[1], "/testdata/") {
			ours += allocs
		} else {
			others[m[1]] = allocs
		}
	}
	t.Logf("allocations at the start: the agent %d, what it builds upon %v", ours, others)
	if !seen || ours > 5 {
		t.Errorf("the agent's packages make %d allocations: %s", ours, trace)
	}
}
