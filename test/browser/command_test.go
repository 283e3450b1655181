package browser

import (
	"bufio"
	"context"
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
)

// command builds and starts one of the repository's commands. It returns the first
// match of each expression in its output, and stops the command when the test ends.
func command(t *testing.T, pkg string, args []string, want ...string) (found [][]string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(t.TempDir(), filepath.Base(pkg))
	build := exec.Command("go", "build", "-o", binary, pkg)
	build.Dir = root
	build.Env = append(os.Environ(), "GOWORK=") // these tests run with GOWORK=off
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir = root
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	lines := make(chan string)
	ended := make(chan struct{})
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			select {
			case lines <- s.Text():
			case <-ended:
			}
		}
	}()
	t.Cleanup(func() {
		close(ended)
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		r.Close()
	})
	late := time.After(4 * time.Minute) // the first build compiles the standard library
	found = make([][]string, len(want))
	var output strings.Builder
	for left := len(want); left > 0; {
		select {
		case line, ok := <-lines:
			if !ok {
				t.Fatalf("%s has ended:\n%s", pkg, &output)
			}
			fmt.Fprintln(&output, line)
			for i, re := range want {
				if m := regexp.MustCompile(re).FindStringSubmatch(line); m != nil && found[i] == nil {
					found[i] = m
					left--
				}
			}
		case <-late:
			t.Fatalf("%s takes too long:\n%s", pkg, &output)
		}
	}
	go func() {
		for range lines {
		}
	}()
	return found
}

// visit keeps a web process busy, more and less so, until the test ends.
func visit(t *testing.T, url string) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		tick := time.NewTicker(25 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			n := 200 + 60*(i/40%25)
			req, _ := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("%s?n=%d", url, n), nil)
			if resp, err := http.DefaultClient.Do(req); err == nil {
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
		}
	}()
}
