package peer

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Programs that use heroku/x compile against the agent with the import path
// changed and nothing else.
func TestOnlyTheImportPathChanges(t *testing.T) {
	sources, err := filepath.Glob("usage/*/main.go")
	if err != nil || len(sources) < 4 {
		t.Fatal(sources, err)
	}
	// A directory within the module, so that its go.mod holds.
	dir, err := os.MkdirTemp(".", "_ours")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	build := func(pkg string) error {
		cmd := exec.Command("go", "build", "-o", os.DevNull, pkg)
		cmd.Env = append(os.Environ(), "GOFLAGS=")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Logf("%s", out)
		}
		return err
	}
	for _, source := range sources {
		name := filepath.Base(filepath.Dir(source))
		if err := build("./usage/" + name); err != nil {
			t.Errorf("%s with heroku/x: %v", name, err)
		}
		theirs, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		ours := bytes.Replace(theirs, []byte("github.com/heroku/x/hmetrics"), []byte("github.com/hmetrics/heroku-buildpack-go-metrics/agent"), 1)
		if bytes.Equal(ours, theirs) {
			t.Fatalf("%s does not import heroku/x", source)
		}
		if err := os.MkdirAll(filepath.Join(dir, name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "main.go"), ours, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := build("./" + filepath.Join(dir, name)); err != nil {
			t.Errorf("%s with the agent: %v", name, err)
		}
	}
}
