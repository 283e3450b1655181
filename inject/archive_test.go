package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// compileFmt returns an archive of package fmt and the build ID that the go
// command knows for it.
func compileFmt(t *testing.T, flags ...string) (archive, buildID string) {
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

// testingGo returns the path of the go command that runs the tests: go test sets
// either GOROOT or the PATH that goes with it.
func testingGo() string {
	if root := os.Getenv("GOROOT"); root != "" {
		return filepath.Join(root, "bin", "go")
	}
	return "go"
}

func TestContentID(t *testing.T) {
	archive, buildID := compileFmt(t)
	got, err := contentID(archive)
	if err != nil {
		t.Fatal(err)
	}
	if want := buildID[strings.LastIndexByte(buildID, '/')+1:]; got != want {
		t.Errorf("content ID %q, want %q", got, want)
	}
}

func TestSameArchive(t *testing.T) {
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
	for name, want := range map[string]bool{archive: true, copied: true, other: false} {
		if same, err := sameArchive(archive, name); err != nil || same != want {
			t.Errorf("sameArchive(%s) = %v, %v, want %v", name, same, err, want)
		}
	}
}

func TestContentIDOfSomethingElse(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.a")
	for _, data := range []string{"", "!<arch>\n", strings.Repeat("x", 4096), "\nbuild id \"a/b", "\nbuild id a/b\n"} {
		if err := os.WriteFile(name, []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
		if id, err := contentID(name); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%q: content ID %q, error %v, want an error that names the file", data, id, err)
		}
	}
}

func FuzzParseBuildID(f *testing.F) {
	f.Add([]byte("!<arch>\ngo object linux amd64 go1.26\nbuild id \"a/b/c\"\n"))
	f.Fuzz(func(t *testing.T, head []byte) {
		if id, ok := parseBuildID(head); ok && id == "" {
			t.Error("an empty build ID")
		}
	})
}
