package stage

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// A tagged release has one version: buildpack.toml's, which the agent's line in a build log and
// inject verify show, is the newest version in the changelog, with a date.
func TestReleaseHasOneVersion(t *testing.T) {
	dir := t.TempDir()
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(root, filepath.Join(dir, "src")); err != nil {
		t.Fatal(err)
	}
	version, err := Stage{dir}.Version()
	if err != nil {
		t.Fatal(err)
	}
	changelog, err := os.ReadFile("../../../CHANGELOG.md")
	if err != nil {
		t.Fatal(err)
	}
	newest := regexp.MustCompile(`(?m)^## (\d+\.\d+\.\d+) - \d{4}-\d\d-\d\d$`).FindSubmatch(changelog)
	if newest == nil || "v"+string(newest[1]) != version {
		t.Errorf("buildpack.toml is %s, and the newest version with a date in CHANGELOG.md is %q", version, newest)
	}
}
