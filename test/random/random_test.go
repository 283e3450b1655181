//go:build linux

// Package random builds random apps with and without the buildpack. Whatever the app and the
// flags, the two builds have the same result, every file stays unchanged, each program prints
// the same and has the same build information, and the build log says whether it has the agent.
//
// The names of the tests contain the seed, which makes the same apps again:
//
//	go test ./random -seed SEED -apps 200 -timeout 0
package random

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

var (
	seed  = flag.Uint64("seed", uint64(time.Now().UnixNano()), "`seed` of the random apps")
	count = flag.Int("apps", 0, "how many random apps are built (0: 3, or 25 if HMETRICS_TEST_SLOW is 1)")
)

func TestRandomApps(t *testing.T) {
	switch {
	case *count > 0:
	case os.Getenv("HMETRICS_TEST_SLOW") == "1":
		*count = 25
	default:
		*count = 3
	}
	p := newPlace(t)
	for i := range uint64(*count) {
		t.Run(fmt.Sprintf("seed=%d,app=%d", *seed, i), func(t *testing.T) { p.compare(t, makeApp(rand.New(rand.NewPCG(*seed, i)))) })
	}
}

// A place is where the apps are built, one after the other.
type place struct {
	buildpack, heroku string
	build             herokugo.Build
}

// newPlace creates the place, with the build cache of the go command that runs the test.
func newPlace(t *testing.T) *place {
	environ, values, err := machine.Environ(context.Background(), "GOCACHE")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	t.Cleanup(func() { herokugo.RemoveAll(root) })
	b := herokugo.Build{App: root + "/app", Cache: root + "/cache", Env: root + "/env", Environ: append(environ, "HOME="+root, "TMPDIR="+root)}
	p := &place{buildpack: root + "/buildpack", build: b}
	if p.heroku, err = filepath.Abs("../herokugo/buildpack"); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		machine.CopyBuildpack(p.buildpack, "../.."),
		b.InstallGo(values[0]),
		os.Symlink(values[1], filepath.Join(b.Cache, ".heroku/go/go-build-cache")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// A result is what a build leaves.
type result struct {
	ok       bool
	log      string
	files    map[string]string   // what they hold, except programs
	programs map[string]*program // by the file's name
}

type program struct {
	path    string
	info    []string // build information, less what is the agent's
	agent   bool
	printed string
}

// run builds the app with buildpacks, always in the same directories.
func (p *place) run(t *testing.T, a *app, buildpacks ...string) result {
	var log bytes.Buffer
	b := p.build
	b.Stdout, b.Stderr = &log, &log
	for dir, files := range map[string]map[string]string{b.App: a.files, b.Env: a.config} {
		tree := fstest.MapFS{}
		for name, content := range files {
			if content != "" {
				tree[name] = &fstest.MapFile{Data: []byte(content)}
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(dir, tree); err != nil {
			t.Fatal(err)
		}
	}
	err := b.Run(context.Background(), buildpacks...)
	r := result{ok: err == nil, log: log.String()}
	r.read(t, b.App)
	return r
}

// What the agent adds to the build information of a program.
var agents = regexp.MustCompile(`^(build\thmetrics\.|dep\tgithub\.com/(hmetrics|hashicorp|kelseyhightower)/)`)

// read reads the files of the app, and runs its programs.
func (r *result) read(t *testing.T, app string) {
	r.files, r.programs = map[string]string{}, map[string]*program{}
	err := filepath.WalkDir(app, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := buildinfo.ReadFile(name)
		if err != nil {
			data, err := os.ReadFile(name)
			r.files[name] = string(data)
			return err
		}
		p := &program{path: info.Path}
		for line := range strings.Lines(info.String()) {
			if agents.MatchString(line) {
				p.agent = true
			} else {
				p.info = append(p.info, line)
			}
		}
		out, err := exec.Command(name, "a", "b c").CombinedOutput()
		p.printed = fmt.Sprintf("%s%v", out, err)
		r.programs[name] = p
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// compare builds an app with and without the buildpack, and compares the results.
func (p *place) compare(t *testing.T, a *app) {
	order := []string{p.buildpack, p.heroku}
	if a.last {
		slices.Reverse(order)
	}
	plain, ours := p.run(t, a, p.heroku), p.run(t, a, order...)
	defer func() {
		if t.Failed() {
			t.Logf("placed last: %v, config vars %v\nfiles %q\nthe log:\n%s", a.last, a.config, a.files, ours.log)
		}
	}()
	// Under require, a link without the agent fails, also where another program fails anyway.
	required := strings.Contains(ours.log, "HMETRICS_INJECT is require")
	if a.config["HMETRICS_INJECT"] == "require" && !ours.ok && (plain.ok || required) {
		if !a.mayBeUnmatched() || !required || !strings.Contains(ours.log, "no program of the app matches") {
			t.Error("the build fails under require")
		}
		return
	}
	if plain.ok != ours.ok {
		t.Errorf("the build succeeds: %v, without the buildpack: %v", ours.ok, plain.ok)
	}
	if !maps.Equal(plain.files, ours.files) {
		t.Errorf("the files are %q, without the buildpack %q", ours.files, plain.files)
	}
	if got, want := slices.Sorted(maps.Keys(ours.programs)), slices.Sorted(maps.Keys(plain.programs)); !slices.Equal(got, want) {
		t.Fatalf("the programs are %q, without the buildpack %q", got, want)
	}
	for name, program := range ours.programs {
		was := plain.programs[name]
		if program.printed != was.printed {
			t.Errorf("%s prints %q, without the buildpack %q", name, program.printed, was.printed)
		}
		if !slices.Equal(program.info, was.info) {
			t.Errorf("%s says of itself %q, without the buildpack %q", name, program.info, was.info)
		}
		if ours.ok {
			a.checkAgent(t, name, program, ours.log)
		}
	}
}

// checkAgent checks that a program has the agent if it should, and that the log says so.
func (a *app) checkAgent(t *testing.T, name string, p *program, log string) {
	path, file := regexp.QuoteMeta(p.path), `\./bin/`+regexp.QuoteMeta(filepath.Base(name))
	want, line := true, "linked into "+path+"(; .*)?\n"
	if a.last {
		line = file + `(,.*)? \([0-9.]+ s\)\n`
	}
	switch {
	case a.config["HMETRICS_INJECT"] == "off":
		want, line = false, "HMETRICS_INJECT is off"
	case !a.selected(p.path) && a.last:
		want, line = false, file+"(,.*)? stays as it is: HMETRICS_PACKAGES does not select it\n"
	case !a.selected(p.path):
		want, line = false, "not linked into "+path+": HMETRICS_PACKAGES does not select it"
	}
	if p.agent != want {
		t.Errorf("%s has the agent: %v", name, p.agent)
	}
	if !regexp.MustCompile(line).MatchString(log) {
		t.Errorf("the log has no line that matches %s", line)
	}
}
