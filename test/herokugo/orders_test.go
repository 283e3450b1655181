package herokugo

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// orderFixtures are heroku/go's own test apps that the newest Go builds, with
// the config vars that its tests set for them.
var orderFixtures = []struct {
	name string
	vars map[string]string
}{
	{name: "mod-basic"},
	{name: "mod-basic-go126"},
	{name: "mod-basic-with-hooks"},
	{name: "mod-basic-wo-procfile"},
	{name: "mod-cmd"},
	{name: "mod-cmd-web"},
	{name: "mod-deps"},
	{name: "mod-deps-vendored"},
	{name: "mod-deps-with-tests"},
	{name: "mod-install"},
	{name: "mod-ld-symbol-value", vars: map[string]string{"GO_LINKER_SYMBOL": "main.fixture", "GO_LINKER_VALUE": "fixture"}},
	{name: "mod-with-non-files-in-bin"},
	{name: "mod-with-quoted-module"},
}

// TestOrders builds them with the real heroku/go and the buildpack here, in both
// orders, with and without a config var GOFLAGS. Every program of the app has the
// agent then, and none with heroku/go alone.
func TestOrders(t *testing.T) {
	dir := os.Getenv("HEROKU_BUILDPACK_GO")
	if dir == "" {
		t.Skip("HEROKU_BUILDPACK_GO does not name a checkout of github.com/heroku/heroku-buildpack-go")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "env", "GOROOT", "GOCACHE", "GOMODCACHE", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	machine := strings.Split(strings.TrimSpace(string(out)), "\n")
	version, err := goVersion(machine[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range orderFixtures {
		for _, goflags := range []string{"", `"-ldflags=-s -w" -tags=mine`} {
			for _, order := range []string{"alone", "first", "last"} {
				f, goflags, order := f, goflags, order
				t.Run(fmt.Sprintf("%s/%s/goflags=%t", f.name, order, goflags != ""), func(t *testing.T) {
					home := resolved(t, t.TempDir())
					t.Cleanup(func() { RemoveAll(home) })
					at := func(elem ...string) string { return filepath.Join(append([]string{home}, elem...)...) }
					if _, err := CopyTree(at("app"), filepath.Join(dir, "test", "fixtures", f.name)); err != nil {
						t.Fatal(err)
					}
					// It finds its Go, and downloads nothing.
					unpacked := at("cache", ".heroku", "go", version, "go")
					for _, path := range []string{filepath.Dir(unpacked), at("env"), at("tmp")} {
						if err := os.MkdirAll(path, 0o777); err != nil {
							t.Fatal(err)
						}
					}
					for link, to := range map[string]string{unpacked: machine[0], at("cache", ".heroku", "go", "go-build-cache"): machine[1]} {
						if err := os.Symlink(to, link); err != nil {
							t.Fatal(err)
						}
					}
					vars := map[string]string{"GOVERSION": version}
					if goflags != "" {
						vars["GOFLAGS"] = goflags
					}
					for name, value := range f.vars {
						vars[name] = value
					}
					for name, value := range vars {
						if err := os.WriteFile(at("env", name), []byte(value), 0o666); err != nil {
							t.Fatal(err)
						}
					}
					var log bytes.Buffer
					b := &Build{
						App: at("app"), Cache: at("cache"), Env: at("env"), Stdout: &log, Stderr: &log,
						Environ: []string{
							"PATH=" + os.Getenv("PATH"), "HOME=" + home, "GOENV=off", "GOTOOLCHAIN=local",
							// heroku/go loses its own at times: see newLab.
							"GOCACHE=" + machine[1], "GOMODCACHE=" + machine[2], "GOPROXY=" + machine[3],
						},
					}
					ours, theirs := &Dir{Path: root, Tmp: at("tmp")}, &Dir{Path: dir, Tmp: at("tmp")}
					packs := map[string][]Buildpack{"alone": {theirs}, "first": {ours, theirs}, "last": {theirs, ours}}[order]
					start := time.Now()
					if err := b.Run(context.Background(), packs...); err != nil {
						t.Fatalf("%v\n%s", err, log.String())
					}
					took := time.Since(start)

					programs, linked := 0, 0
					entries, err := os.ReadDir(at("app", "bin"))
					if err != nil {
						t.Fatal(err)
					}
					for _, e := range entries {
						info, err := buildinfo.ReadFile(at("app", "bin", e.Name()))
						if err != nil || info.Main.Path != "github.com/heroku/fixture" {
							continue
						}
						programs++
						content, err := os.ReadFile(at("app", "bin", e.Name()))
						if err != nil {
							t.Fatal(err)
						}
						if bytes.Contains(content, []byte("hmetrics.injected/agent/onload")) {
							linked++
						}
						if f.name == "mod-ld-symbol-value" {
							out, err := exec.Command(at("app", "bin", e.Name())).Output()
							if err != nil || strings.TrimSpace(string(out)) != "fixture" {
								t.Errorf("%s prints %q (%v)", e.Name(), out, err)
							}
						}
					}
					want := programs
					if order == "alone" {
						want = 0
					}
					if programs == 0 || linked != want {
						t.Errorf("%d of %d programs have the agent, want %d\n%s", linked, programs, want, log.String())
					}
					seconds := regexp.MustCompile(`in \d+\.\d s\.`).FindString(log.String())
					t.Logf("%d of %d programs have the agent; the build took %.1f s, rebuild %q", linked, programs, took.Seconds(), seconds)
				})
			}
		}
	}
}
