package hmetrics_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	hmetrics "github.com/hmetrics/heroku-buildpack-go-metrics/agent"
	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
)

// Every sentence of the documentation of github.com/heroku/x/hmetrics has a test here that
// is named after it. The tests use a real endpoint and the shortest interval.

func TestMain(m *testing.M) {
	if os.Getenv("PRINT_DEFAULT_ENDPOINT") != "" {
		fmt.Print(hmetrics.DefaultEndpoint)
		return
	}
	for _, name := range []string{"HMETRICS_TIMEOUT", "HMETRICS_RETRIES", "HMETRICS_VERBOSE", "HTTP_PROXY", "http_proxy"} {
		os.Unsetenv(name)
	}
	os.Setenv("HMETRICS_INTERVAL", "1s")
	hmetrics.DefaultEndpoint = ""
	os.Exit(m.Run())
}

func serve(t *testing.T, fault func(endpoint.Request) endpoint.Fault) *endpoint.Server {
	t.Helper()
	s, err := endpoint.Start(endpoint.Options{Fault: fault})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		if r := s.Rejected(); len(r) > 0 {
			t.Errorf("rejected %+v", r)
		}
	})
	return s
}

func refuseAll(endpoint.Request) endpoint.Fault { return endpoint.Status(404) }

// start calls Report and returns a function that cancels it, and its result. The test ends
// only after Report returns.
func start(t *testing.T, url string, ef hmetrics.ErrHandler) (cancel func(), result <-chan error) {
	ctx, cancelCtx := context.WithCancel(context.Background())
	c, done := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(done)
		c <- hmetrics.Report(ctx, url, ef)
	}()
	t.Cleanup(func() {
		cancelCtx()
		<-done
	})
	return cancelCtx, c
}

func wait(t *testing.T, s *endpoint.Server, n int) []endpoint.Report {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	reports, err := s.Wait(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	return reports
}

func receive(t *testing.T, c <-chan error) error {
	t.Helper()
	select {
	case err := <-c:
		return err
	case <-time.After(30 * time.Second):
		t.Fatal("nothing arrived in 30s")
		return nil
	}
}

func TestReportGoMetricsToTheEndpointUntilTheContextIsCanceled(t *testing.T) {
	s := serve(t, nil)
	cancel, result := start(t, s.URL("web.1"), nil)
	reports := wait(t, s, 2)
	if apart := reports[1].Received.Sub(reports[0].Received); apart < 900*time.Millisecond {
		t.Errorf("reports %v apart", apart)
	}
	for _, r := range reports {
		if r.HeapBytes <= 0 || r.StackBytes <= 0 || r.HeapObjects <= 0 || r.GCGoal <= 0 || r.Goroutines < 2 {
			t.Errorf("got %s", r.Body)
		}
	}
	cancel()
	if err := receive(t, result); err != nil {
		t.Errorf("Report returned %v", err)
	}
	wait(t, s, 3) // with what was pending
}

func TestOnlyOneCallToTheErrHandlerWillHappenAtATime(t *testing.T) {
	var requests, inside, calls int32
	s := serve(t, func(r endpoint.Request) endpoint.Fault {
		atomic.AddInt32(&requests, 1)
		return refuseAll(r)
	})
	entered, release := make(chan error), make(chan struct{})
	start(t, s.URL("web.1"), func(err error) error {
		if atomic.AddInt32(&inside, 1) != 1 {
			t.Error("two calls at a time")
		}
		entered <- err
		<-release
		if atomic.AddInt32(&inside, -1); atomic.AddInt32(&calls, 1) == 2 {
			return errors.New("enough")
		}
		return nil
	})
	receive(t, entered)
	// Metrics can be dropped or delayed if a call to ErrHandler takes longer
	// than the reporting interval.
	select {
	case <-entered:
		t.Error("a second call began")
	case <-time.After(2500 * time.Millisecond):
	}
	if n := atomic.LoadInt32(&requests); n != 1 {
		t.Errorf("%d requests while the handler was busy", n)
	}
	close(release)
	receive(t, entered)
}

func TestProcessingOfMetricsContinuesIfTheErrHandlerReturnsNil(t *testing.T) {
	s := serve(t, endpoint.Script(endpoint.Status(404)))
	errs := make(chan error, 10)
	start(t, s.URL("web.1"), func(err error) error { errs <- err; return nil })
	err := receive(t, errs)
	if !strings.Contains(err.Error(), "404 Not Found") {
		t.Errorf("the handler got %v", err)
	}
	wait(t, s, 1)
}

func TestProcessingOfMetricsAbortsIfTheErrHandlerReturnsAnError(t *testing.T) {
	s := serve(t, refuseAll)
	_, result := start(t, s.URL("web.1"), func(error) error { return errors.New("enough") })
	// The documentation does not say what Report returns: heroku/x returns nil.
	if err := receive(t, result); err != nil {
		t.Errorf("Report returned %v", err)
	}
}

func TestItIsSafeToPassANilErrHandler(t *testing.T) {
	s := serve(t, endpoint.Script(endpoint.Status(404)))
	start(t, s.URL("web.1"), nil)
	wait(t, s, 1)
}

func TestReportIsSafeForConcurrentUsage(t *testing.T) {
	s := serve(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	const callers = 50
	results := make(chan error, callers)
	for i := 0; i < callers; i++ {
		go func() { results <- hmetrics.Report(ctx, s.URL("web.1"), nil) }()
	}
	for i := 0; i < callers-1; i++ {
		if err := receive(t, results); err != (hmetrics.AlreadyStarted{}) {
			t.Errorf("one of the others returned %v", err)
		}
	}
	wait(t, s, 1)
	cancel()
	if err := receive(t, results); err != nil {
		t.Errorf("the one that reports returned %v", err)
	}
}

func TestCallingItAgainWithoutCancelingReturnsAlreadyStarted(t *testing.T) {
	s := serve(t, nil)
	start(t, s.URL("web.1"), nil)
	wait(t, s, 1)
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	var as hmetrics.AlreadyStarted
	for _, err := range []error{
		hmetrics.Report(context.Background(), s.URL("web.1"), nil),
		// As with heroku/x, whatever else is wrong with the call.
		hmetrics.Report(canceled, s.URL("web.1"), nil),
		hmetrics.Report(context.Background(), "", nil),
		hmetrics.Report(context.Background(), "no URL", nil),
	} {
		if !errors.As(err, &as) || err != (hmetrics.AlreadyStarted{}) {
			t.Errorf("got %v", err)
		}
	}
	if as.Fatal() || as.Error() == "" {
		t.Errorf("%q, fatal %v", as.Error(), as.Fatal())
	}
}

func TestReportCanBeCalledAgainAfterTheContextIsCanceled(t *testing.T) {
	s := serve(t, nil)
	cancel, first := start(t, s.URL("web.1"), nil)
	wait(t, s, 1)
	cancel()
	// At once, while the first may still be at its last attempt.
	_, second := start(t, s.URL("web.2"), nil)
	if err := receive(t, first); err != nil {
		t.Errorf("the first returned %v", err)
	}
	for len(s.Reports()) == 0 || s.Reports()[len(s.Reports())-1].Process != "web.2" {
		wait(t, s, len(s.Reports())+1)
		select {
		case err := <-second:
			t.Fatalf("the second returned %v", err)
		default:
		}
	}
}

func TestMetricsAreNotDuplicatedByStartingAgain(t *testing.T) {
	for i := 0; i < 100; i++ {
		runtime.GC() // more often than the runtime itself in this test
	}
	s := serve(t, nil)
	report := func(process string) (collections float64) {
		n := len(s.Reports())
		cancel, result := start(t, s.URL(process), nil)
		wait(t, s, n+1)
		cancel()
		receive(t, result)
		for _, r := range s.Reports()[n:] {
			collections += r.Collections
		}
		return collections
	}
	if n := report("web.1"); n < 100 {
		t.Errorf("the first reported %v collections, there were 100", n)
	}
	if n := report("web.2"); n >= 100 {
		t.Errorf("the second reported %v collections, those of the first again", n)
	}
}

func TestHerokuMetricsURLUnset(t *testing.T) {
	err := hmetrics.Report(context.Background(), "", nil)
	var unset hmetrics.HerokuMetricsURLUnset
	if !errors.As(err, &unset) || err != (hmetrics.HerokuMetricsURLUnset{}) {
		t.Errorf("got %v", err)
	}
	if !unset.Fatal() || !strings.Contains(unset.Error(), "HEROKU_METRICS_URL") {
		t.Errorf("%q, fatal %v", unset.Error(), unset.Fatal())
	}
}

func TestAnEndpointThatIsNotAURL(t *testing.T) {
	for _, url := range []string{"secret", "ftp://host/secret", "http:///secret", "http://host:port/secret"} {
		err := hmetrics.Report(context.Background(), url, nil)
		fatal, ok := err.(interface{ Fatal() bool })
		if !ok || !fatal.Fatal() || !strings.Contains(err.Error(), "HEROKU_METRICS_URL") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestDefaultEndpointIsHEROKU_METRICS_URL(t *testing.T) {
	for url, want := range map[string]string{"": "", " ": "", "https://example.com/0123": "https://example.com/0123", " https://example.com/0123\n": "https://example.com/0123"} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "PRINT_DEFAULT_ENDPOINT=1", "HEROKU_METRICS_URL="+url)
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != want {
			t.Errorf("with %q: %q, %v", url, out, err)
		}
	}
}

func TestDefaultEndpointMustBeChangedBeforeReportIsCalled(t *testing.T) {
	defer func(url string) { hmetrics.DefaultEndpoint = url }(hmetrics.DefaultEndpoint)
	s := serve(t, nil)
	hmetrics.DefaultEndpoint = s.URL("web.1")
	start(t, hmetrics.DefaultEndpoint, nil)
	wait(t, s, 1)
}

func TestAPanicOfTheErrHandlerIsItsOwn(t *testing.T) {
	s := serve(t, refuseAll)
	func() {
		defer func() {
			if p := recover(); p != "from the handler" {
				t.Errorf("recovered %v", p)
			}
		}()
		hmetrics.Report(context.Background(), s.URL("web.1"), func(error) error { panic("from the handler") })
	}()
	healthy := serve(t, nil)
	start(t, healthy.URL("web.1"), nil)
	wait(t, healthy, 1)
}

func TestABadSettingIsNamedWhenVerbose(t *testing.T) {
	t.Setenv("HMETRICS_TIMEOUT", "never")
	defer func(flags int) {
		log.SetOutput(os.Stderr)
		log.SetFlags(flags)
	}(log.Flags())
	log.SetFlags(0)
	for verbose, want := range map[string]string{
		"true":  "[hmetrics] HMETRICS_TIMEOUT must be a Go duration of at least 100ms, such as 10s: using 10s\n",
		"false": "",
	} {
		t.Setenv("HMETRICS_VERBOSE", verbose)
		var out bytes.Buffer
		log.SetOutput(&out)
		s := serve(t, nil)
		cancel, result := start(t, s.URL("web.1"), nil)
		wait(t, s, 1)
		cancel()
		if err := receive(t, result); err != nil {
			t.Error(err)
		}
		if out.String() != want {
			t.Errorf("verbose %s: logged %q", verbose, out.String())
		}
	}
}

// The advanced example of heroku/x calls Report in a loop and asserts Fatal on the error
// itself, not on one that it wraps.
func TestErrorsAreAssertedDirectly(t *testing.T) {
	type fataler interface{ Fatal() bool }
	for _, err := range []error{hmetrics.AlreadyStarted{}, hmetrics.HerokuMetricsURLUnset{}} {
		if _, ok := err.(fataler); !ok {
			t.Errorf("%T has no Fatal", err)
		}
	}
	var ef hmetrics.ErrHandler = func(err error) error { return err }
	if ef(io.EOF) != io.EOF {
		t.Error("an ErrHandler is a func(error) error")
	}
}
