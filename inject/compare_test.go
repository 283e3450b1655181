package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// compare sees a difference if a program is rebuilt from other sources or with other flags.
func TestCompare(t *testing.T) {
	for what, tt := range map[string]struct{ main, flag, want string }{
		"the same":       {"func main() { println(version) }", "-ldflags=-w", ""},
		"more functions": {"func main() { println(version); more(); more(); more(); more(); more(); more() }\n\nfunc more() { println(version, version) }", "-ldflags=-w", "function main.main has "},
		"other flags":    {"func main() { println(version) }", "-tags=x", "its build information is"},
	} {
		r, program := goProgram(t, "", "-ldflags=-w")
		source := "package main\n\nvar version string\n\n" + tt.main + "\n"
		if err := os.WriteFile(filepath.Join(r.app, "main.go"), []byte(source), 0o666); err != nil {
			t.Fatal(err)
		}
		made, err := r.goBuild(buildCommand{dir: r.app, flags: []string{"-buildvcs=false", tt.flag}, packages: []string{"."}})
		if err != nil {
			t.Fatal(err)
		}
		switch err := compare(program.names[0], made); {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", what, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: error %v, want one with %q", what, err, tt.want)
		}
	}
}
