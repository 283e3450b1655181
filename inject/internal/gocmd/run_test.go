package gocmd

import (
	"os"
	"path/filepath"
	"testing"
)

func TestProblem(t *testing.T) {
	for messages, want := range map[string]string{
		"": "",
		"go: downloading example.com/a v1.0.0\n# example.com/app\n./main.go:3:2: undefined: x\n./main.go:4:2: undefined: y\n": "./main.go:3:2: undefined: x",
		"go: errors parsing go.mod:\n/app/go.mod:3: unknown directive: requires\n":                                            "go: errors parsing go.mod: /app/go.mod:3: unknown directive: requires",
		"tool: warning: no configuration\nWarning: x\n\n error: .tool.yml is missing\nexit status 1":                          "error: .tool.yml is missing",
		"# example.com/app:\n": "",
	} {
		if got := Problem(messages); got != want {
			t.Errorf("%q: %q, want %q", messages, got, want)
		}
	}
}

func TestSetting(t *testing.T) {
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte("GOFLAGS=-v\nGOWORK=off\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ goenv, gowork, want string }{
		{file, "", "off"},
		{file, "/app/go.work", "/app/go.work"},
		{"off", "", ""},
	} {
		t.Setenv("GOENV", test.goenv)
		t.Setenv("GOWORK", test.gowork)
		if got := Setting("GOWORK"); got != test.want {
			t.Errorf("GOENV=%s GOWORK=%s: %q, want %q", test.goenv, test.gowork, got, test.want)
		}
	}
}
