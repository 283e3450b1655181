package cnb

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
)

const (
	ours = "hmetrics/go-metrics"
	gobp = "heroku/go" // testdata/go, which keeps its contract
)

var (
	first = []string{ours, gobp}
	last  = []string{gobp, ours}
)

// TestBuilds builds one app again and again, as its user changes config vars and
// the order of the buildpacks. Each build has the cache that the last one left. The
// function is long because it is a table of those builds.
func TestBuilds(t *testing.T) {
	p := newPlatform(t)
	if err := os.CopyFS(p.Path("workspace"), os.DirFS("../apps/two")); err != nil {
		t.Fatal(err)
	}
	before := tree(t, p.Path("buildpacks"))
	both := []string{"web", "worker"}
	var stage string
	for _, build := range []struct {
		name     string
		config   map[string]string
		order    []string
		restored func() error // called when the cache has been restored
		says     []string
		reports  []string // these programs do, and the others have not got the agent
		check    func(t *testing.T, log string)
	}{
		{
			name: "first", order: first, reports: both,
			says: []string{"-----> Preparing Go runtime metrics",
				"       The Go buildpack after this one will link the metrics agent into every binary of the app.",
				"GOFLAGS=-toolexec=" + p.Path("buildpacks/hmetrics_go-metrics") + "/"},
			check: func(t *testing.T, log string) {
				stage = p.stage(t)
				// The lifecycle takes the agent's SBOM as one of the layer.
				same(t, p.Path("layers/sbom/build/hmetrics_go-metrics/go-metrics/sbom.cdx.json"), "../../agent/sbom.cdx.json")
			},
		},
		{
			name: "again", order: first, reports: both,
			says: []string{`Restoring data for "hmetrics/go-metrics:go-metrics" from cache`},
			// What the build compiles again, it puts in the place of this.
			restored: func() error { return os.Link(p.injector(t), p.Path("injector")) },
			check: func(t *testing.T, log string) {
				if got := p.stage(t); got != stage {
					t.Errorf("the stage has moved from %s to %s", stage, got)
				}
				a, errA := os.Stat(p.Path("injector"))
				b, errB := os.Stat(p.injector(t))
				if errA != nil || errB != nil || !os.SameFile(a, b) {
					t.Errorf("the injector that the cache restored was not used: %v, %v", errA, errB)
				}
			},
		},
		{
			name: "HMETRICS_PACKAGES", config: map[string]string{"HMETRICS_PACKAGES": "./cmd/web"}, order: first, reports: []string{"web"},
			says: []string{"will link the metrics agent into ./cmd/web."},
		},
		{
			name: "HMETRICS_INJECT=off", config: map[string]string{"HMETRICS_INJECT": "off"}, order: first,
			says: []string{"       HMETRICS_INJECT is off: the app is built without the metrics agent.", "GOFLAGS=\n"},
		},
		{
			name: "GOFLAGS, first", config: map[string]string{"GOFLAGS": "-ldflags=-s"}, order: first,
			says: []string{" !     The metrics agent will not be linked: your GOFLAGS takes the place of what this buildpack hands on",
				" Put it after heroku/go in project.toml", "GOFLAGS=-ldflags=-s\n"},
		},
		{
			name: "GOFLAGS, last", config: map[string]string{"GOFLAGS": "-ldflags=-s"}, order: last, reports: both,
			says: []string{"       Programs that got the metrics agent: 2, in "},
			check: func(t *testing.T, log string) {
				if strings.Contains(log, "before heroku/go in project.toml") {
					t.Error("the log proposes an order in which GOFLAGS takes the agent away")
				}
				f, err := elf.Open(p.program("web"))
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if f.Section(".symtab") != nil {
					t.Error("GOFLAGS has -ldflags=-s, and web has a symbol table")
				}
			},
		},
		{
			name: "last", order: last, reports: both,
			says: []string{"       Programs that got the metrics agent: 2, in ",
				"       Each program was built twice. To have it built once, let this buildpack come before heroku/go in project.toml."},
			check: func(t *testing.T, log string) {
				info, err := buildinfo.ReadFile(p.program("web"))
				if err != nil || !slices.Contains(info.Settings, debug.BuildSetting{Key: "-tags", Value: "heroku"}) {
					t.Errorf("web is rebuilt without heroku/go's -tags: %v %v", info, err)
				}
			},
		},
		{name: "last, again", order: last, reports: both, says: []string{"       Programs that got the metrics agent: 2, in "}},
		{
			// Whatever the cache brings, nothing in it is followed or handed on.
			name: "garbage", order: first, reports: both,
			restored: func() error {
				layer := p.Layer(ours, "go-metrics")
				if err := os.RemoveAll(layer); err != nil {
					return err
				}
				return errors.Join(
					os.MkdirAll(p.Path("mine", "project"), 0o777),
					os.MkdirAll(filepath.Join(layer, "bin"), 0o777),
					os.MkdirAll(filepath.Join(layer, "env"), 0o777),
					os.Symlink(p.Path("mine"), filepath.Join(layer, "stages")),
					os.WriteFile(filepath.Join(layer, "bin", "go"), []byte("#!/bin/sh\necho garbage; exit 1\n"), 0o777),
					os.WriteFile(filepath.Join(layer, "env", "GOFLAGS"), []byte("-garbage"), 0o666),
					os.WriteFile(layer+".toml", []byte("garbage"), 0o666))
			},
			check: func(t *testing.T, log string) {
				if strings.Contains(log, "garbage") {
					t.Errorf("what the cache held reached the build\n%s", log)
				}
				if _, err := os.Stat(p.Path("mine", "project")); err != nil {
					t.Errorf("a link in the cached layer was followed: %v", err)
				}
			},
		},
		{
			// Config vars reach the Go buildpack as they are. None is run, or written to.
			name: "hostile", config: map[string]string{"HMETRICS_INJECT": "$(touch " + p.Path("touched") + ")\n'\""}, order: first, reports: both,
			says: []string{" !     HMETRICS_INJECT is '$(touch "},
			check: func(t *testing.T, log string) {
				if _, err := os.Stat(p.Path("touched")); err == nil {
					t.Error("a config var was run, or taken for the name of a file")
				}
			},
		},
		{
			// A layer that other versions left is replaced, and keeps one stage.
			name: "another version", order: first, reports: both,
			restored: func() error {
				old := filepath.Join(filepath.Dir(stage), "0123456789abcdef0123")
				return errors.Join(os.Rename(stage, old), os.WriteFile(filepath.Join(old, "src", "go.mod"), []byte("module old\n"), 0o666))
			},
			check: func(t *testing.T, log string) {
				if got := p.stage(t); got != stage {
					t.Errorf("the stage is %s, not %s", got, stage)
				}
			},
		},
	} {
		t.Run(build.name, func(t *testing.T) {
			q := p
			q.Restored = build.restored
			log := q.build(t, build.config, build.order...)
			contains(t, log, build.says...)
			p.reports(t, build.reports...)
			for _, name := range both {
				if content, err := os.ReadFile(p.program(name)); err != nil || bytes.Contains(content, []byte("hmetrics.injected/agent/onload")) != slices.Contains(build.reports, name) {
					t.Errorf("%s has got the agent, or not, though it should: %v", name, err)
				}
			}
			if build.check != nil {
				build.check(t, log)
			}
		})
	}

	t.Run("GOFLAGS, first, HMETRICS_INJECT=require", func(t *testing.T) {
		log, err := p.try(map[string]string{"GOFLAGS": "-ldflags=-s", "HMETRICS_INJECT": "require"}, first...)
		if err == nil {
			t.Fatalf("the build has not failed\n%s", log)
		}
		contains(t, log, " !     HMETRICS_INJECT is require, so the build stops here.")
	})
	// Before Platform API 0.12 there were no targets.
	t.Run("Platform API 0.10", func(t *testing.T) {
		q := p
		q.API = "0.10"
		q.build(t, nil, first...)
		p.reports(t, "web")
	})
	if after := tree(t, p.Path("buildpacks")); !maps.Equal(before, after) {
		t.Errorf("the buildpacks' directories have changed:\n%v\n%v", before, after)
	}
}

// TestDetect shows which apps are not this buildpack's, and what it says to them.
func TestDetect(t *testing.T) {
	for _, test := range []struct {
		name  string
		files []string
		want  string // "" if it is for this buildpack
		isGo  bool   // and then the classic API takes it all the same, for a "no" there ends the deploy
	}{
		{"module", []string{"go.mod", "main.go"}, "", true},
		{"Dockerfile too", []string{"go.mod", "main.go", "Dockerfile", "heroku.yml"}, "", true},
		{"workspace", []string{"go.mod", "go.work", "main.go", "lib/go.mod"}, "", true},
		{"no go.mod", []string{"main.go", "Gopkg.lock"}, "Type: go mod init NAME && go mod tidy", true},
		{"subdirectory", []string{"package.json", "services/api/go.mod"}, "There is one in services/api: deploy that directory", true},
		{"Node.js", []string{"package.json"}, "This is not a Go app. Remove this buildpack from it.", false},
		{"nothing", nil, "This is not a Go app.", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPlatform(t)
			for _, name := range append(test.files, ".git/HEAD") {
				if err := os.MkdirAll(filepath.Dir(p.Path("workspace", name)), 0o777); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(p.Path("workspace", name), nil, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			var log bytes.Buffer
			err := p.Detect(&log, nil, ours)
			if (err == nil) != (test.want == "") {
				t.Fatalf("detect: %v\n%s", err, &log)
			}
			contains(t, log.String(), test.want)
			if test.want != "" {
				contains(t, log.String(), "Go runtime metrics: there is no go.mod in the app's root directory.", "fail: "+ours)
			}

			// The classic API asks the same question in another way.
			classic := exec.Command("../../bin/detect", p.Path("workspace"))
			out, err := classic.CombinedOutput()
			if (err == nil) != test.isGo || err != nil && classic.ProcessState.ExitCode() != 1 {
				t.Fatalf("bin/detect: %v\n%s", err, out)
			}
			if !test.isGo {
				contains(t, string(out), test.want)
			}
		})
	}
}

type testPlatform struct{ Platform }

// newPlatform returns a platform that has the buildpack, as bin/package makes
// it, and heroku/go's stand-in with the Go of this machine.
func newPlatform(t *testing.T) testPlatform {
	t.Helper()
	p := testPlatform{Platform{Dir: t.TempDir(), API: "0.14", Distro: "unknown"}}
	t.Cleanup(func() { removeAll(p.Dir) })
	env, err := exec.Command("go", "env", "GOROOT", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	goroot, goproxy, _ := strings.Cut(strings.TrimSpace(string(env)), "\n")
	made := p.Path("package.tgz")
	pack := exec.Command("../../bin/package", made)
	pack.Env = append(os.Environ(), "GOPROXY="+goproxy)
	if out, err := pack.CombinedOutput(); err != nil {
		t.Fatalf("bin/package: %v\n%s", err, out)
	}
	if err := os.MkdirAll(p.Path("package"), 0o777); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("tar", "xzf", made, "-C", p.Path("package")).CombinedOutput(); err != nil {
		t.Fatalf("unpacking %s: %v\n%s", made, err, out)
	}
	if _, err := p.Add(p.Path("package")); err != nil {
		t.Fatal(err)
	}
	dir, err := p.Add("testdata/go")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "goroot"), []byte(goroot), 0o666); err != nil {
		t.Fatal(err)
	}
	// All that a build container has of this machine.
	t.Setenv("HOME", t.TempDir())
	t.Setenv("PATH", "/usr/bin:/bin")
	return p
}

// try builds with no way to any module: the package brings what is needed.
func (p testPlatform) try(config map[string]string, order ...string) (string, error) {
	all := map[string]string{"GOPROXY": "off", "GOTOOLCHAIN": "local"}
	maps.Copy(all, config)
	var log bytes.Buffer
	err := p.Build(&log, all, order...)
	return log.String(), err
}

func (p testPlatform) build(t *testing.T, config map[string]string, order ...string) string {
	t.Helper()
	start := time.Now()
	log, err := p.try(config, order...)
	if err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	t.Logf("%.1f s", time.Since(start).Seconds())
	return log
}

func (p testPlatform) program(name string) string { return p.Layer(gobp, "go_target", "bin", name) }

// stage returns the one stage in the layer.
func (p testPlatform) stage(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(p.Layer(ours, "go-metrics", "stages", "*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the layer holds %d stages: %v", len(found), found)
	}
	return found[0]
}

// injector returns the command inject that a build has left in the stage.
func (p testPlatform) injector(t *testing.T) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(p.stage(t), "inject-*"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the stage holds %d injectors: %v", len(found), found)
	}
	return found[0]
}

// reports runs programs until each has sent a report.
func (p testPlatform) reports(t *testing.T, names ...string) {
	t.Helper()
	srv, err := endpoint.Start(endpoint.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	for i, name := range names {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		dyno := exec.CommandContext(ctx, p.program(name))
		dyno.Env = []string{"PORT=0", "DYNO=web.1", "HEROKU_METRICS_URL=" + srv.URL(name), "HMETRICS_INTERVAL=1s"}
		var out bytes.Buffer
		dyno.Stdout, dyno.Stderr = &out, &out
		if err := dyno.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- dyno.Wait(); cancel() }()
		_, err := srv.Wait(ctx, i+1)
		dyno.Process.Kill()
		exit := <-ended
		if err != nil {
			t.Fatalf("no report has come from %s: %v (%v)\n%s", name, err, exit, &out)
		}
	}
	for _, r := range srv.Rejected() {
		t.Errorf("a report was refused: %s", r.Reason)
	}
}

func same(t *testing.T, file, other string) {
	t.Helper()
	a, errA := os.ReadFile(file)
	b, errB := os.ReadFile(other)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Errorf("%s is not %s: %v, %v", file, other, errA, errB)
	}
}

func contains(t *testing.T, log string, lines ...string) {
	t.Helper()
	// The lifecycle colours what it says itself.
	log = regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(log, "")
	for _, line := range lines {
		if !strings.Contains(log, line) {
			t.Errorf("the log does not say %q:\n%s", line, log)
		}
	}
}

// tree returns the names, modes and contents of the files in a directory.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		files[path] = info.Mode().String() + " " + string(b)
		return err
	})
	if err != nil || len(slices.Collect(maps.Keys(files))) == 0 {
		t.Fatalf("reading %s: %v", dir, err)
	}
	return files
}
