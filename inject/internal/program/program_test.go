package program

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
)

func TestSelected(t *testing.T) {
	web := Program{Path: "example.com/app/v2/cmd/web", Relative: "./cmd/web"}
	root := Program{Path: "example.com/app/v2", Relative: "."}
	tests := []struct {
		pattern string
		p       Program
		want    bool
	}{
		{"./cmd/web", web, true},
		{"./cmd/web/", web, true},
		{"./cmd/...", web, true},
		{"./...", web, true},
		{"./...", root, true},
		{".", root, true},
		{".", web, false},
		{"./cmd", web, false},
		{"./cmd/we", web, false},
		{"./cmd/we...", web, true},
		{"example.com/app/v2/cmd/web", web, true},
		{"example.com/app/...", web, true},
		{"example.com/app/v2/...", root, true},
		{"examplexcom/app/...", web, false},
		{"...", web, true},
		{"./.../web", web, true},
		{".../cmd/...", web, true},
		{"example.com/.../cmd/...", web, true},
		{"./cmd/we.../...", web, true},
		{".../...", web, true},
		{"......", root, true},
		{".../cmd", web, false},
		{"./.../w", web, false},
		{"./.../web", root, false},
		{"cmd/web", web, false},
		{"*", web, false},
	}
	for _, test := range tests {
		if got := test.p.selected([]string{"other", test.pattern}); got != test.want {
			t.Errorf("%q selects %s: %v, want %v", test.pattern, test.p.Relative, got, test.want)
		}
	}
	if !web.selected(nil) {
		t.Error("no pattern does not select all")
	}
}

// Trying each place for each wildcard would not end.
func TestMatchesInOnePass(t *testing.T) {
	if matches(strings.Repeat("a...", 1000)+"b", strings.Repeat("a", 100000)) {
		t.Error("matches")
	}
}

func TestOf(t *testing.T) {
	const app = "example.com/app"
	vcs := []debug.BuildSetting{{Key: "vcs", Value: "git"}}
	devel := debug.Module{Path: app, Version: "(devel)"}
	tests := []struct {
		what     string
		info     debug.BuildInfo
		vendored bool
		relative string
		own      bool
	}{
		{"the root of a module", debug.BuildInfo{Path: app, Main: devel}, false, ".", true},
		{"a command", debug.BuildInfo{Path: app + "/cmd/web", Main: devel}, false, "./cmd/web", true},
		{"a package that is called vendor", debug.BuildInfo{Path: app + "/cmd/vendor", Main: devel}, true, "./cmd/vendor", true},
		{"with a version of the repository", debug.BuildInfo{Path: app, Main: debug.Module{Path: app, Version: "v1.2.3"}, Settings: vcs}, false, ".", true},
		{"of the module cache", debug.BuildInfo{Path: app, Main: debug.Module{Path: app, Version: "v1.2.3", Sum: "h1:x"}}, false, ".", false},
		{"vendored", debug.BuildInfo{Path: app, Main: debug.Module{Path: app, Version: "v1.2.3"}}, true, ".", false},
		{"replaced by a directory", debug.BuildInfo{Path: app, Main: debug.Module{Path: app, Version: "v1", Replace: &debug.Module{Path: "./app"}}}, false, ".", true},
		{"replaced by a module", debug.BuildInfo{Path: app, Main: debug.Module{Path: app, Version: "v1", Replace: &debug.Module{Path: "x", Version: "v2", Sum: "h1:x"}}}, false, ".", false},
		{"replaced by a directory and vendored", debug.BuildInfo{Path: app, Main: debug.Module{Path: app, Version: "v1", Replace: &debug.Module{Path: "./app"}}}, true, ".", false},
		{"a list of files", debug.BuildInfo{Path: CommandLineArguments}, false, "./" + CommandLineArguments, true},
		{"in GOPATH", debug.BuildInfo{Path: "example.com/web"}, false, "./example.com/web", true},
		{"in GOPATH and vendored", debug.BuildInfo{Path: "example.com/web/vendor/example.com/tool"}, false, "./example.com/web/vendor/example.com/tool", false},
		{"one of Go's own", debug.BuildInfo{Path: "cmd/vet"}, false, "./cmd/vet", false},
	}
	for _, test := range tests {
		p := Of(&test.info, test.vendored)
		if p.Own != test.own || p.Relative != test.relative || p.Path != test.info.Path {
			t.Errorf("a program %s: %+v, want own %v, relative %s", test.what, p, test.own, test.relative)
		}
	}
}

func TestUnmatched(t *testing.T) {
	app := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":                            "module example.com/app",
		"cmd/web/main.go":                   "// Command web.\npackage main // here\n",
		"cmd/vendor/main.go":                "package main\n",
		"lib/lib.go":                        "package lib\n",
		"services/api/go.mod":               "module example.com/api // of its own\n",
		"services/api/main.go":              "package main\n",
		"vendor/modules.txt":                "",
		"vendor/example.com/tool/main.go":   "package main\n",
		"testdata/main.go":                  "package main\n",
		"cmd/only_tests/only_tests_test.go": "package main\n",
	} {
		name = filepath.Join(app, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	patterns := strings.Fields("./cmd/web ./cmd/vendor example.com/api example.com/... ./cmd/wbe ./lib example.com/tool ./testdata ./cmd/only_tests")
	want := "HMETRICS_PACKAGES: no program of the app matches ./cmd/wbe ./lib example.com/tool ./testdata ./cmd/only_tests"
	if err := Unmatched(patterns, []string{app}); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if err := Unmatched(patterns[:4], []string{app}); err != nil {
		t.Error(err)
	}
	if p := In(filepath.Join(app, "services", "api")); p.Path != "example.com/api" || p.Relative != "." || !p.Own {
		t.Errorf("the program in services/api: %+v", p)
	}
	if p := In(filepath.Join(app, "cmd", "web")); p.Path != "example.com/app/cmd/web" || p.Relative != "./cmd/web" {
		t.Errorf("the program in cmd/web: %+v", p)
	}
}
