package browser

import (
	"bufio"
	"fmt"
	"io/fs"
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

// command builds and starts one of the repository's commands. It returns the groups
// of the first match of each expression in its output, which come in this order, and
// stops the command when the test ends.
func command(t *testing.T, pkg string, args []string, want ...string) (found []string) {
	t.Helper()
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	// go test runs it again if a file has changed that was opened by a name in this module,
	// as those are that are not cleaned.
	for _, dir := range []string{"bin", "agent", "inject", "test/try", "test/serve", "test/page", "test/herokugo", "test/machine", "test/apps"} {
		fs.WalkDir(os.DirFS(wd+"/../.."), dir, func(string, fs.DirEntry, error) error { return nil })
	}
	binary := filepath.Join(t.TempDir(), filepath.Base(pkg))
	build := exec.Command("go", "build", "-o", binary, pkg)
	build.Dir = "../.."
	build.Env = append(os.Environ(), "GOWORK=") // these tests run with GOWORK=off
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(binary, args...)
	cmd.Dir = build.Dir
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		r.Close()
	})
	lines := bufio.NewScanner(r)
	late := time.AfterFunc(4*time.Minute, func() { cmd.Process.Kill() }) // the first build compiles the standard library
	var output strings.Builder
	for _, re := range want {
		var m []string
		for m == nil {
			if !lines.Scan() {
				t.Fatalf("%s has ended:\n%s", pkg, &output)
			}
			fmt.Fprintln(&output, lines.Text())
			m = regexp.MustCompile(re).FindStringSubmatch(lines.Text())
		}
		found = append(found, m[1:]...)
	}
	late.Stop()
	go func() { // its output must not pile up
		for lines.Scan() {
		}
	}()
	return found
}

// visit keeps a web process busy, more and less so, until the test ends.
func visit(t *testing.T, url string) {
	go func() {
		for i := 0; t.Context().Err() == nil; i++ {
			if resp, err := http.Get(fmt.Sprintf("%s?n=%d", url, 200+60*(i/40%25))); err == nil {
				resp.Body.Close()
			}
			time.Sleep(25 * time.Millisecond)
		}
	}()
}
