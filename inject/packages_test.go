package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSelected(t *testing.T) {
	web := mainPackage{importPath: "example.com/app/v2/cmd/web", relative: "./cmd/web"}
	root := mainPackage{importPath: "example.com/app/v2", relative: "."}
	tests := []struct {
		pattern string
		p       mainPackage
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
			t.Errorf("%q selects %s: %v, want %v", test.pattern, test.p.relative, got, test.want)
		}
	}
	if !web.selected(nil) {
		t.Error("no pattern does not select all")
	}
}

func TestLocate(t *testing.T) {
	// A module may itself lie in a directory called vendor.
	root := filepath.Join(t.TempDir(), "vendor", "app")
	dir := filepath.Join(root, "cmd", "web")
	vendored := filepath.Join(root, "vendor", "example.com", "tool")
	for _, dir := range []string{dir, vendored} {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("// comment\nmodule \"example.com/App\" // c\n\ngo 1.18\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		dir, importPath, relative string
		vendored                  bool
	}{
		{dir, "example.com/App/cmd/web", "./cmd/web", false},
		{root, "example.com/App", ".", false},
		{vendored, "example.com/App/vendor/example.com/tool", "./vendor/example.com/tool", true},
	} {
		p := locate(test.dir, commandLineArguments)
		if p.importPath != test.importPath || p.relative != test.relative || p.vendored() != test.vendored {
			t.Errorf("locate(%s) = %+v, vendored %v, want %+v", test.dir, p, p.vendored(), test)
		}
	}
}
