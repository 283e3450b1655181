package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/gocmd"
)

// compileFmt returns an archive of package fmt and its build ID according to the go command.
func compileFmt(t *testing.T, flags ...string) (archive, id string) {
	t.Helper()
	args := append(append([]string{"list", "-export"}, flags...), "-f", "{{.Export}} {{.BuildID}}", "fmt")
	cmd := exec.Command(testingGo(), args...)
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOTOOLCHAIN=local")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, &stderr)
	}
	f := strings.Fields(string(out))
	return f[0], f[1]
}

// testingGo returns the path of the go command that runs the tests: go test sets either GOROOT
// or a PATH with it.
func testingGo() string {
	if root := os.Getenv("GOROOT"); root != "" {
		return filepath.Join(root, "bin", "go")
	}
	return "go"
}

func TestBuildID(t *testing.T) {
	archive, want := compileFmt(t)
	if got, err := buildID(archive); err != nil || got != want {
		t.Errorf("build ID %q, %v, want %q", got, err, want)
	}
	name := filepath.Join(t.TempDir(), "x.a")
	for _, data := range []string{"", "!<arch>\n", strings.Repeat("x", 4096), "\nbuild id \"a/b", "\nbuild id a/b\n", "\nbuild id \"\"\n"} {
		if err := os.WriteFile(name, []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
		if id, err := buildID(name); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: build ID %q, error %v, want an error that names the file", data, id, err)
		}
	}
}

func TestConflict(t *testing.T) {
	archive, _ := compileFmt(t)
	other, _ := compileFmt(t, "-gcflags=-N")
	b, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "_pkg_.a")
	if err := os.WriteFile(copied, b, 0o666); err != nil {
		t.Fatal(err)
	}
	agent := map[string]string{"fmt": archive, "only/the/agent": "x"}
	for name, want := range map[string]string{archive: "", copied: "", other: "fmt"} {
		if got, err := conflict(agent, map[string]string{"fmt": name, "only/the/app": "y"}); err != nil || got != want {
			t.Errorf("conflict with %s: %q, %v, want %q", name, got, err, want)
		}
	}
}

func TestAgentGcflags(t *testing.T) {
	for flags, want := range map[string]string{
		"":                                   "-gcflags=hmetrics.injected/...=-dwarf=false '-trimpath=/a stage/shaded=>hmetrics.injected'",
		"-race=true|-gcflags=-N":             "-gcflags=hmetrics.injected/...=-dwarf=false '-trimpath=/a stage/shaded=>hmetrics.injected'",
		"-gcflags=all=-N -l|-gcflags=net=-l": "-gcflags=hmetrics.injected/...=-N -l -dwarf=false '-trimpath=/a stage/shaded=>hmetrics.injected'",
	} {
		if got := agentGcflags(gocmd.Flags{Archive: strings.Split(flags, "|")}, "/a stage/shaded"); got != want {
			t.Errorf("%s: %s, want %s", flags, got, want)
		}
	}
}

func TestWithUserToolexec(t *testing.T) {
	for user, want := range map[string]string{
		"":        "-mod=readonly",
		"/x/mine": "-mod=readonly -toolexec=/x/mine -toolexec=/b/bin/toolexec",
		"env A=1": "-mod=readonly '-toolexec=env A=1' -toolexec=/b/bin/toolexec",
	} {
		if got := withUserToolexec(user, "/b/bin/toolexec -ours"); got != want {
			t.Errorf("%s: %s, want %s", user, got, want)
		}
	}
}
