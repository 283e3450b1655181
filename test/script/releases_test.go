//go:build linux

package script

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// ways/releases.txtar has each Go release since 1.18, with its last patch.
func TestReleasesAreTheNewest(t *testing.T) {
	if os.Getenv("HMETRICS_TEST_TOOLCHAINS") != "1" {
		t.Skip("HMETRICS_TEST_TOOLCHAINS=1 lets it ask the module proxy for other Go releases")
	}
	proxy, err := exec.Command("go", "env", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(proxy)), ",")
	resp, err := http.Get(first + "/golang.org/toolchain/@v/list")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	served, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s has no list of toolchains: %s %v", first, resp.Status, err)
	}
	archive, err := os.ReadFile("ways/releases.txtar")
	if err != nil {
		t.Fatal(err)
	}
	has := patches(`(?m)^toolchain go1\.(\d+)\.(\d+)$`, archive)
	for release, patch := range patches(`(?m)^v0\.0\.1-go1\.(\d+)\.(\d+)\.linux-amd64$`, served) {
		if release >= 18 && has[release] < patch {
			t.Skipf("ways/releases.txtar lacks go1.%d.%d: add it", release, patch)
		}
	}
}

// patches returns the last patch of each release in a text.
func patches(form string, text []byte) map[int]int {
	last := make(map[int]int)
	for _, m := range regexp.MustCompile(form).FindAllSubmatch(text, -1) {
		release, _ := strconv.Atoi(string(m[1]))
		patch, _ := strconv.Atoi(string(m[2]))
		last[release] = max(last[release], patch)
	}
	return last
}
