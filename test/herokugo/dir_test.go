package herokugo

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// buildpack writes a buildpack with the given scripts below bin.
func buildpack(t *testing.T, scripts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "README"), "")
	for name, script := range scripts {
		writeFile(t, filepath.Join(dir, "bin", name), "#!/usr/bin/env bash\n"+script)
	}
	return dir
}

func newBuild(t *testing.T, log *bytes.Buffer) *Build {
	t.Helper()
	dir := t.TempDir()
	b := &Build{
		App:     filepath.Join(dir, "app dir"),
		Cache:   filepath.Join(dir, "cache"),
		Env:     filepath.Join(dir, "env"),
		Environ: []string{"PATH=" + os.Getenv("PATH"), "GOFLAGS=-first", "OLDPWD=/platform"},
		Stdout:  log,
		Stderr:  log,
	}
	for _, d := range []string{b.App, b.Cache, b.Env} {
		if err := os.Mkdir(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// The root of the second buildpack has an export file of an earlier build.
func TestDirs(t *testing.T) {
	show := `cd "$(dirname "$0")/.." && echo "$(basename "$0") $# arguments, app ${1##*/}, GOFLAGS <$GOFLAGS>, MULTI <$MULTI>" && ls | tr '\n' ' ' && echo`
	first := buildpack(t, map[string]string{
		"detect": `echo First`,
		"compile": show + `
root=$PWD
cat >export <<EOF
echo "sourcing"
cd /
export GOFLAGS="\$GOFLAGS -toolexec=$root/tool"
export MULTI="a
b"
local_only=1
EOF
`,
		"release": `echo "release $#" >&2; echo '--- {}'`,
	})
	second := buildpack(t, map[string]string{"detect": `echo Second`, "compile": show})
	writeFile(t, filepath.Join(second, "export"), "export STALE=1\n")
	var log bytes.Buffer
	b := newBuild(t, &log)
	tmp := t.TempDir()
	one, two := &Dir{Path: first, Tmp: tmp}, &Dir{Path: second, Tmp: tmp}
	if err := b.Run(context.Background(), one, two); err != nil {
		t.Fatalf("%v\n%s", err, &log)
	}
	flags, _ := Getenv(b.Environ, "GOFLAGS")
	want := `-----> First app detected
compile 3 arguments, app app dir, GOFLAGS <-first>, MULTI <>
README bin 
release 1
sourcing
-----> Second app detected
compile 3 arguments, app app dir, GOFLAGS <` + flags + `>, MULTI <a
b>
README bin 
`
	diff(t, "log", log.String(), want)
	if !one.Exported || two.Exported {
		t.Errorf("exported: %t and %t, want true and false", one.Exported, two.Exported)
	}
	if !strings.HasPrefix(flags, "-first -toolexec="+tmp) {
		t.Errorf("GOFLAGS is %q, want both flags, the second one with a path in the copy", flags)
	}
	for _, e := range b.Environ {
		name, value, _ := strings.Cut(e, "=")
		switch name {
		case "PATH", "GOFLAGS", "MULTI":
		case "OLDPWD":
			if value != "/platform" {
				t.Errorf("OLDPWD is %q", value)
			}
		default:
			t.Errorf("the environment has %s", e)
		}
	}
	if _, err := os.Stat(filepath.Join(first, "export")); err == nil {
		t.Error("the buildpack itself was written to")
	}
}

// When the build is canceled, what the buildpack has started ends, too.
func TestCanceled(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o666); err != nil {
		t.Fatal(err)
	}
	pack := buildpack(t, map[string]string{"detect": "echo X", "compile": `sleep 1000 & exec 3>"$FIFO"; echo >&3; wait`})
	var log bytes.Buffer
	b := newBuild(t, &log)
	b.Environ = append(b.Environ, "FIFO="+fifo)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error)
	go func() { ended <- b.Run(ctx, &Dir{Path: pack, Tmp: t.TempDir()}) }()

	f, err := os.Open(fifo) // until bin/compile opens it, too
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got the error %v, want %v", err, context.Canceled)
	}
}
