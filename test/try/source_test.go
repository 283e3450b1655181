//go:build linux

package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

func TestFindSource(t *testing.T) {
	for name, tt := range map[string]struct {
		files string
		env   string
		roots []string // relative to the directory that holds app, "app" itself left out
		base  string
		err   string
	}{
		"an app on its own": {
			files: "-- app/go.mod --\nmodule m\n-- app/sub/go.mod --\nmodule s\n",
			base:  "app",
		},
		"modules beside the app": {
			files: "-- app/go.mod --\nmodule m\nreplace (\n\tx => ../x\n\ty => ./y\n\tz v1.0.0 => z.example/z v1.0.1\n\tn => ../not-there\n)\n-- x/go.mod --\nmodule x\n-- app/y/go.mod --\nmodule y\n",
			roots: []string{"app/y", "x"},
			base:  ".",
		},
		"the module above an example": {
			files: "-- go.mod --\nmodule m\n-- app/go.mod --\nmodule m/app\nreplace m => ../\n",
			roots: []string{"."},
			base:  ".",
		},
		"a workspace above the app": {
			files: "-- go.work --\ngo 1.18\nuse (\n\t./app\n\t./lib\n)\nreplace r => ./r\n-- go.work.sum --\n-- app/go.mod --\nmodule m\n-- lib/go.mod --\nmodule lib\nreplace q => ../q\n-- q/go.mod --\nmodule q\n-- r/go.mod --\nmodule r\n-- other/x --\n",
			roots: []string{"go.work", "go.work.sum", "lib", "q", "r"},
			base:  ".",
		},
		"a workspace that is switched off": {
			files: "-- go.work --\ngo 1.18\nuse ./app\n-- app/go.mod --\nmodule m\n",
			env:   "GOWORK=off",
			base:  "app",
		},
		"a workspace of others": {
			files: "-- go.work --\ngo 1.18\nuse ./lib\n-- lib/go.mod --\nmodule lib\n-- app/go.mod --\nmodule m\n",
			base:  "app",
		},
		"no module at all":         {files: "-- app/main.go --\npackage main\n", err: "make one with 'go mod init'"},
		"a package of a module":    {files: "-- go.mod --\nmodule m\n-- app/main.go --\npackage main\n", err: "GO_INSTALL_PACKAGE_SPEC=./app"},
		"a module in a directory":  {files: "-- app/server/go.mod --\nmodule m\n", err: "its directory server has"},
		"no app at all":            {files: "-- x --\n", err: "opening the app"},
		"a file":                   {files: "-- app --\n", err: "is not a directory"},
		"a go.mod with a mistake":  {files: "-- app/go.mod --\nmodule m\nrequire\n", err: "go.mod:2"},
		"a go.work with a mistake": {files: "-- app/go.work --\nuse\n-- app/go.mod --\nmodule m\n", err: "go.work:1"},
	} {
		tt := tt
		t.Run(name, func(t *testing.T) {
			dir := writeFiles(t, tt.files)
			tr := &trial{environ: append(os.Environ(), "GOFLAGS=", "GOWORK=", "GO111MODULE=", tt.env), stderr: io.Discard}
			s, err := findSource(context.Background(), filepath.Join(dir, "app"), tr.goCommand)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got the error %v, want one with %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]bool{}
			for _, root := range s.roots {
				rel, err := filepath.Rel(dir, root)
				if err != nil || got[rel] {
					t.Errorf("the root %s is there twice or nowhere", root)
				}
				got[rel] = true
			}
			for _, root := range append(tt.roots, "app") {
				if !got[root] {
					t.Errorf("%s is missing in the roots %v", root, s.roots)
				}
				delete(got, root)
			}
			for root := range got {
				t.Errorf("%s is not wanted in the roots %v", root, s.roots)
			}
			if want := filepath.Join(dir, tt.base); s.base != want {
				t.Errorf("the base is %s, want %s", s.base, want)
			}
		})
	}
}

// writeFiles writes a txtar archive to a new directory.
func writeFiles(t *testing.T, archive string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range txtar.Parse([]byte(archive)).Files {
		path := filepath.Join(dir, f.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, f.Data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
