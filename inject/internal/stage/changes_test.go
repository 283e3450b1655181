package stage

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// Where a file lies decides what a change of it invalidates: the link of every program,
// the compile step of every main package, or nothing.
func TestWhatAChangeInvalidates(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("bin/stage is for Linux")
	}
	buildpack := t.TempDir()
	for _, name := range []string{"agent", "bin", "inject", "go.mod", "go.sum", "buildpack.toml"} {
		if out, err := exec.Command("cp", "-R", filepath.Join("../../..", name), buildpack).CombinedOutput(); err != nil {
			t.Fatalf("copying the buildpack: %v\n%s", err, out)
		}
	}
	link, hook := stageIDs(t, buildpack, "")
	if again, _ := stageIDs(t, buildpack, ""); again != link {
		t.Errorf("the injection ID is %s, and %s the second time", link, again)
	}
	if other, compile := stageIDs(t, buildpack, "./cmd/web"); other == link || compile != hook {
		t.Errorf("with HMETRICS_PACKAGES the injection ID is %s instead of %s, and the hook's %s instead of %s", other, link, compile, hook)
	}
	for _, test := range []struct {
		file          string
		link, compile bool
	}{
		{"agent/report.go", true, false},
		{"agent/onload/onload.go", true, false},
		{"agent/internal/start/start.go", true, false},
		{"buildpack.toml", true, false},
		{"go.sum", true, false},
		{"inject/step/link.go", true, false},
		{"inject/step/hook/hook.go.txt", true, true},
		{"inject/step/hook/main.go.txt", true, true},
		{"inject/internal/gocmd/flags.go", true, false},
		{"inject/internal/program/program.go", true, false},
		{"bin/toolexec", true, false},
		{"bin/lib/step.sh", true, false},
		{"bin/compile", false, false},
		{"inject/verify.go", false, false},
		{"inject/rebuild.go", false, false},
		{"inject/step/agent_test.go", false, false},
		{"agent/report_test.go", false, false},
		{"agent/README.md", false, false},
		{"agent/internal/start/testdata/isolation/main.go", false, false},
	} {
		file := filepath.Join(buildpack, test.file)
		was, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(was[:len(was):len(was)], '\n'), 0o777); err != nil {
			t.Fatal(err)
		}
		changedLink, changedHook := stageIDs(t, buildpack, "")
		if changed := changedLink != link; changed != test.link {
			t.Errorf("a change of %s changes the injection ID: %v", test.file, changed)
		}
		if changed := changedHook != hook; changed != test.compile {
			t.Errorf("a change of %s changes the hook's ID: %v", test.file, changed)
		}
		if err := os.WriteFile(file, was, 0o777); err != nil {
			t.Fatal(err)
		}
	}
}

// stageIDs stages a buildpack for HMETRICS_PACKAGES, and returns the injection ID and
// the ID of the hook.
func stageIDs(t *testing.T, buildpack, packages string) (link, hook string) {
	t.Helper()
	out, err := exec.Command("bash", filepath.Join(buildpack, "bin/stage"), t.TempDir(), packages).Output()
	if err != nil {
		t.Fatalf("bin/stage: %v\n%s", err, out)
	}
	dir := string(out[:len(out)-1])
	data, err := os.ReadFile(filepath.Join(dir, "hook"))
	if err != nil {
		t.Fatal(err)
	}
	return Stage{dir}.ID(), string(data)
}
