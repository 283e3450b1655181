package reporter

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
)

// Stacks come in spans of 32 KiB, so the test takes the average of many agents.
const manyAgents = 20

// Between reports an agent holds less than 40 KiB of heap and stacks, and no
// connection.
func TestMemoryOfAnIdleAgent(t *testing.T) {
	t.Parallel()
	s := startOther(t, endpoint.Options{})
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "REPORT_AND_MEASURE="+s.URL("web.1"))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := s.Wait(ctx, 2*manyAgents); err != nil {
		t.Fatal(err)
	}
	stdin.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	var heap, stack, goroutines int64
	if _, err := fmt.Sscan(out.String(), &heap, &stack, &goroutines); err != nil {
		t.Fatalf("%q: %v", out.String(), err)
	}
	t.Logf("an idle agent holds %d B of heap and %d B of stacks of %.1f goroutines", heap/manyAgents, stack/manyAgents, float64(goroutines)/manyAgents)
	if n := (heap + stack) / manyAgents; n >= 40<<10 || n < 2<<10 {
		t.Errorf("%d bytes", n)
	}
	if goroutines != manyAgents {
		t.Errorf("%d goroutines", goroutines)
	}
}

// reportAndMeasure reports to url with many agents and prints how much heap,
// stack and goroutines they hold once standard input ends.
func reportAndMeasure(url string) {
	measure := func() (m runtime.MemStats, goroutines int) {
		for i := 0; i < 3; i++ { // pools and finalizers take more than one
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return m, runtime.NumGoroutine()
	}
	before, goroutinesBefore := measure()
	for i := 0; i < manyAgents; i++ {
		go (&Reporter{format: &heroku{}}).Run(context.Background(), Options{
			Endpoint:     func() string { return url },
			Config:       Config{Interval: 2 * time.Second, Timeout: 2 * time.Second},
			dependencies: &dependencies{newTransport(), func() float64 { return 0 }},
		})
	}
	io.Copy(io.Discard, os.Stdin)
	after, goroutinesAfter := measure()
	fmt.Println(int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(after.StackInuse)-int64(before.StackInuse), goroutinesAfter-goroutinesBefore)
}
