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

	"github.com/dsnet/try"
)

// ways/releases.txtar has each Go release since 1.18, with its last patch.
func TestReleasesAreTheNewest(t *testing.T) {
	if os.Getenv("HMETRICS_TEST_TOOLCHAINS") != "1" {
		t.Skip("HMETRICS_TEST_TOOLCHAINS=1 lets it ask the module proxy for other Go releases")
	}
	proxy := try.E1(exec.Command("go", "env", "GOPROXY").Output())
	first, _, _ := strings.Cut(strings.TrimSpace(string(proxy)), ",")
	resp := try.E1(http.Get(first + "/golang.org/toolchain/@v/list"))
	defer resp.Body.Close()
	served := try.E1(io.ReadAll(resp.Body))
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%s has no list of toolchains: %s", first, resp.Status)
	}
	archive := try.E1(os.ReadFile("ways/releases.txtar"))
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
