package machine

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckout(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Checkout(); got != root || err != nil {
		t.Errorf("Checkout is %s, %v, want %s", got, err, root)
	}
	dir := filepath.Join(t.TempDir(), "copy")
	if err := CopyBuildpack(dir, root); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bin/toolexec", "inject/main.go", "go.sum"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestLock(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	first, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Lock(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("locked twice: %v", err)
	}
	first.Close()
	again, err := Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestEnviron(t *testing.T) {
	t.Setenv("GOPROXY", "https://proxy.example")
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:9")
	environ, values, err := Environ(context.Background(), "GOVERSION", "GOOS")
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(environ, "\n")
	for _, want := range []string{"GOENV=off", "GOPROXY=https://proxy.example", "HTTPS_PROXY=http://127.0.0.1:9", "GOMODCACHE=/"} {
		if !strings.Contains(all, want) {
			t.Errorf("%s is not in\n%s", want, all)
		}
	}
	if len(values) != 3 || !filepath.IsAbs(values[0]) || !strings.HasPrefix(values[1], "go") || values[2] == "" {
		t.Errorf("the settings are %q", values)
	}
}
