package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

// goProgram builds a small program and returns its content and what a rebuild
// under GOFLAGS knows of it.
func goProgram(t *testing.T, goflags string, flags ...string) ([]byte, *binary) {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":  "module example.com/app\n\ngo 1.18\n",
		"main.go": "package main\n\nvar version string\n\nfunc main() { println(version) }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(testingGo(), append(append([]string{"build", "-buildvcs=false", "-o", "app"}, flags...), ".")...)
	cmd.Dir = dir
	cmd.Env = setenv(os.Environ(), "GOFLAGS=", "GOENV=off", "GOWORK=off", "CGO_ENABLED=0", "GOTOOLCHAIN=local", "PWD="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	content, err := os.ReadFile(filepath.Join(dir, "app"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := rebuilder{bin: dir, env: []string{"GOFLAGS=" + goflags}}.find()
	if err != nil || len(all) != 1 {
		t.Fatalf("found %d programs (%v)", len(all), err)
	}
	return content, &all[0]
}

func TestAsLinked(t *testing.T) {
	content, _ := goProgram(t, "")
	id, err := goBuildID(content)
	if err != nil || strings.Count(id, "/") != 3 {
		t.Fatalf("the build ID is %q (%v)", id, err)
	}
	if !asLinked(content, id) {
		t.Error("a program is not seen to be as the go command has linked it")
	}
	if asLinked(append(append([]byte{}, content...), 0), id) {
		t.Error("a byte more goes unseen")
	}
	i := bytes.Index(content, []byte("example.com/app"))
	content[i]++
	if asLinked(content, id) {
		t.Error("a changed byte goes unseen")
	}
	if _, err := goBuildID([]byte("no program")); err == nil {
		t.Error("what is no program has a build ID")
	}
	content, _ = goProgram(t, "", "-ldflags=-buildid=")
	if id, err := goBuildID(content); id != "" || err != nil {
		t.Errorf("the build ID of a program without one is %q (%v)", id, err)
	}
}

// recordsAll skips a test of what newer releases record. Builds by older ones are
// rebuilt in the scenario after_oldest.
func recordsAll(t *testing.T) {
	if goMinor(runtime.Version()) < 21 {
		t.Skip(runtime.Version(), "records fewer settings than Go 1.21")
	}
}

func TestRecipe(t *testing.T) {
	recordsAll(t)
	for _, tt := range []struct {
		flags   []string
		goflags string
		want    string
	}{
		{nil, "", "-pgo=off -buildvcs=false"},
		{[]string{"-tags=a,b", "-ldflags=-s -X main.version=1"}, "-v", "-ldflags=-s -X main.version=1 -tags=a,b -pgo=off -buildvcs=false"},
		// What GOFLAGS has and this program has not.
		{nil, "-tags=c -race -trimpath -buildmode=pie '-ldflags=-s -w' -mod=mod", "-buildmode=exe -ldflags= -race=false -tags= -trimpath=false -pgo=off -buildvcs=false"},
		{[]string{"-trimpath", "-ldflags=-s"}, "-ldflags=-w", "-trimpath=true -pgo=off -buildvcs=false"},
		{nil, "-pgo=x.pgo", "-buildvcs=false"},
	} {
		_, program := goProgram(t, tt.goflags, tt.flags...)
		r := rebuilder{app: t.TempDir(), env: []string{"GOFLAGS=" + tt.goflags}}
		flags, env := r.recipe(program)
		if got := strings.Join(flags, " "); got != tt.want {
			t.Errorf("built with %q, under GOFLAGS=%s: the flags are %s, want %s", tt.flags, tt.goflags, got, tt.want)
		}
		for _, want := range []string{"CGO_ENABLED=0", "GOARCH=" + setting(program.build, "GOARCH"), "GOEXPERIMENT=", "GOFIPS140=off"} {
			if !contains(env, want) {
				t.Errorf("the environment %q lacks %s", env, want)
			}
		}
	}
}

func TestRecipeVendored(t *testing.T) {
	_, program := goProgram(t, "")
	dir := t.TempDir()
	r := rebuilder{app: dir, modules: map[string]string{"example.com/app": dir}}
	if err := os.Mkdir(filepath.Join(dir, "vendor"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, sum := range []string{"", "something"} {
		if err := os.WriteFile(filepath.Join(dir, "go.sum"), []byte(sum), 0o666); err != nil {
			t.Fatal(err)
		}
		if flags, _ := r.recipe(program); contains(flags, "-mod=vendor") != (sum != "") {
			t.Errorf("with %q in go.sum and a vendor directory, the flags are %q", sum, flags)
		}
	}
}

// Go 1.18 records neither -buildmode nor -trimpath.
func TestSettingsOfOldReleases(t *testing.T) {
	for mode, flags := range map[string][]string{"exe": nil, "pie": {"-buildmode=pie"}} {
		_, program := goProgram(t, "", flags...)
		info := *program.build
		info.GoVersion, info.Settings = "go1.18.10", nil
		dir := t.TempDir()
		file := filepath.Join(dir, "app")
		content, _ := goProgram(t, "", flags...)
		if err := os.WriteFile(file, content, 0o777); err != nil {
			t.Fatal(err)
		}
		for _, goflags := range []string{"", "-trimpath"} {
			r := rebuilder{env: []string{"GOFLAGS=" + goflags}}
			want := map[string]string{"-buildmode": mode}
			if goflags != "" {
				want["-trimpath"] = "true"
			}
			if got := r.settings(&info, file); !reflect.DeepEqual(got, want) {
				t.Errorf("built with %q, under GOFLAGS=%s: got %v, want %v", flags, goflags, got, want)
			}
		}
	}
}

func TestUnrecorded(t *testing.T) {
	recordsAll(t)
	_, trimmed := goProgram(t, "", "-trimpath")
	_, plain := goProgram(t, "")
	r := rebuilder{env: []string{"GO_LINKER_SYMBOL=main.version", "GO_LINKER_VALUE=v1"}}
	if got, want := r.unrecorded(trimmed), [][]string{{"-ldflags=-X main.version=v1"}, nil}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := r.unrecorded(plain), [][]string{nil}; !reflect.DeepEqual(got, want) {
		t.Errorf("without -trimpath: got %q, want %q", got, want)
	}
}

func TestDifference(t *testing.T) {
	info := func() *debug.BuildInfo {
		return &debug.BuildInfo{
			GoVersion: "go1.22.1", Path: "m/cmd", Main: debug.Module{Path: "m", Version: "(devel)"},
			Deps:     []*debug.Module{{Path: "a", Version: "v1", Sum: "h1:x"}, {Path: buildpackModule, Version: "v0"}},
			Settings: []debug.BuildSetting{{Key: "-tags", Value: "t"}, {Key: "vcs", Value: "git"}, {Key: "vcs.modified", Value: "false"}},
		}
	}
	same := info()
	same.Settings[2].Value = "true"
	same.Main.Version = "v1.0.1+dirty"
	if d := difference(info(), same); d != "" {
		t.Errorf("what is recorded of the repository counts: %s", d)
	}
	// As injection leaves it, in an app that uses the agent as a library too.
	injected := info()
	injected.Deps = append(injected.Deps, &debug.Module{Path: buildpackModule, Version: "v9"}, &debug.Module{Path: "x"})
	injected.Settings = append(injected.Settings, debug.BuildSetting{Key: injectionSetting, Value: "id"}, debug.BuildSetting{Key: destinations[0].setting, Value: "r"})
	if d := difference(info(), withoutAgent(injected)); d != "" {
		t.Errorf("what injection adds counts: %s", d)
	}
	if d := difference(info(), withoutAgent(info())); d != "" {
		t.Errorf("without injection, %s", d)
	}
	for want, change := range map[string]func(*debug.BuildInfo){
		"another Go release: go1.22.2, not go1.22.1": func(b *debug.BuildInfo) { b.GoVersion = "go1.22.2" },
		"another main module: n v2, not m (devel)":   func(b *debug.BuildInfo) { b.Main = debug.Module{Path: "n", Version: "v2"} },
		"1 modules, not 2":                           func(b *debug.BuildInfo) { b.Deps = b.Deps[:1] },
		"another version of a":                       func(b *debug.BuildInfo) { b.Deps[0] = &debug.Module{Path: "a", Version: "v2"} },
		`another -tags: "u", not "t"`:                func(b *debug.BuildInfo) { b.Settings[0].Value = "u" },
		`another -race: "true", not ""`: func(b *debug.BuildInfo) {
			b.Settings = append(b.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
		},
	} {
		is := info()
		change(is)
		if got := difference(info(), is); got != want {
			t.Errorf("the difference is %q, want %q", got, want)
		}
	}
}

func TestWithoutBuildpack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bin")
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	tool := filepath.Join(dir, "toolexec")
	for _, tt := range []struct{ script, goflags, want string }{
		{"# HMETRICS_STAGE", "-tags=x -toolexec=" + tool, "-tags=x"},
		{"# HMETRICS_STAGE", "-toolexec=/mine -toolexec=" + tool, "-toolexec=/mine"},
		{"# the user's own", "-toolexec=" + tool, "-toolexec=" + tool},
		{"# HMETRICS_STAGE", "-toolexec=" + tool + " '-ldflags=", "-toolexec=" + tool + " '-ldflags="},
	} {
		if err := os.WriteFile(tool, []byte(tt.script), 0o777); err != nil {
			t.Fatal(err)
		}
		if got := withoutBuildpack(tt.goflags); got != tt.want {
			t.Errorf("%s becomes %s, want %s", tt.goflags, got, tt.want)
		}
	}
}

func TestGoMinor(t *testing.T) {
	for version, want := range map[string]int{"go1.18": 18, "go1.21.3": 21, "go1.26rc1": 26, "devel go1.27-abc": 1 << 20, "go2": 1 << 20} {
		if got := goMinor(version); got != want {
			t.Errorf("%s is %d, want %d", version, got, want)
		}
	}
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}
