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

// Trying every position for every wildcard would take forever.
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

// writeFiles writes a directory's files, given by their names, and returns the directory.
func writeFiles(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Which modules a build works in, as the go command finds them: go list -m.
func TestMainModules(t *testing.T) {
	root := writeFiles(t, map[string]string{
		"go.mod":               "module example.com/above",
		"team/go.work":         "go 1.21 // use ./no\n//(\nuse ./app\nuse (\n\t\"./my service\" // and\n\t`../shared`\n\n\t// ./none\n)\nuse/**/\nreplace x => ./y\n",
		"team/app/go.mod":      "module example.com/app",
		"team/app/cmd/main.go": "",
		"team/own.work":        "use(\n/elsewhere\n)\n",
	})
	at := func(names ...string) string {
		for i, name := range names {
			names[i] = filepath.Join(root, name)
		}
		return strings.Join(names, " ")
	}
	for _, test := range []struct{ what, dir, gowork, file, modules string }{
		{"below a workspace", "team/app/cmd", "", at("team/go.work"), at("team/app", "team/my service", "shared")},
		{"as go env GOWORK says", "team/app/cmd", "auto", at("team/go.work"), at("team/app", "team/my service", "shared")},
		{"with the workspace off", "team/app/cmd", "off", at("team/app/go.mod"), at("team/app")},
		{"of another workspace", "team/app", at("team/own.work"), at("team/own.work"), "/elsewhere"},
		{"above a workspace", ".", "", at("go.mod"), root},
		{"without any", "../..", "", filepath.Join(root, "../../go.mod"), filepath.Join(root, "../..")},
	} {
		file, modules := MainModules(filepath.Join(root, test.dir), test.gowork)
		if got := strings.Join(modules, " "); file != test.file || got != test.modules {
			t.Errorf("%s: %s has %s, want %s has %s", test.what, file, got, test.file, test.modules)
		}
	}
}

// The same rule as setDefaultBuildMod's in cmd/go/internal/modload.
func TestIsVendored(t *testing.T) {
	const ofModule, ofWorkspace = "# example.com/m v1.0.0\n", "## workspace\n"
	for _, test := range []struct {
		what, mod, file, text, list string
		want                        bool
	}{
		{"a module", "", "go.mod", "module m\n\ngo 1.21\n", ofModule, true},
		{"a module of a Go to come", "", "go.mod", "go 2.0\n", ofModule, true},
		{"a module that asks for an old Go", "", "go.mod", "go 1.13\n", ofModule, false},
		{"a module that asks for no Go", "", "go.mod", "module m\n", ofModule, false},
		{"a module without the directory", "", "go.mod", "go 1.21\n", "", false},
		{"a module that has its workspace's directory", "", "go.mod", "go 1.22\n", ofWorkspace, false},
		{"a workspace", "", "go.work", "go 1.22\n", ofWorkspace, true},
		{"a workspace that has its module's directory", "", "go.work", "go 1.22\n", ofModule, false},
		{"-mod=mod", "mod", "go.mod", "go 1.21\n", ofModule, false},
		{"-mod=vendor", "vendor", "go.mod", "go 1.13\n", "", true},
	} {
		files := map[string]string{test.file: test.text}
		if test.list != "" {
			files["vendor/modules.txt"] = test.list
		}
		if got := IsVendored(test.mod, filepath.Join(writeFiles(t, files), test.file)); got != test.want {
			t.Errorf("%s: vendored is %v", test.what, got)
		}
	}
}

func TestUnmatched(t *testing.T) {
	app := writeFiles(t, map[string]string{
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
	})
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
