package bench

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/dsnet/try"
)

// recorder stands in front of a tool, or of the go command, and writes down what it is
// asked for. What a tool is asked for its ID is no step.
const recorder = `#!/bin/sh
case "${0##*/} $* " in
*" -V=full ") ;;
"go "*) echo "go $1" ;;
compile*" -p main "* | link*) echo "${0##*/} ${TOOLEXEC_IMPORTPATH%% *}" ;;
*" -p "*) all=" $*" && p=${all#* -p } && echo "${0##*/} ${p%% *}" ;;
*) echo "${0##*/}" ;;
esac >>LOG
exec REAL/"${0##*/}" "$@"
`

// TestSteps builds an app again and again, without the buildpack and with it, and compares
// what the latter does in addition with testdata/steps.txt.
func TestSteps(t *testing.T) {
	w := openLimited(t)
	content := string(try.E1(os.ReadFile("testdata/steps.txt")))
	log := w.recordSteps()
	more, dir := map[string]map[string]int{}, w.dir("steps")
	builds := append([]change{{name: "cold"}}, changes...) // over the same caches
	for side, sign := range map[string]int{plain: -1, buildpack: 1} {
		b := w.newBuilder(t.Context(), side, w.generate(t.Context(), serveApp), dir)
		for _, c := range builds {
			try.E(os.WriteFile(log, nil, 0o666))
			w.rebuild(t.Context(), c, *b, 1)
			if more[c.name] == nil {
				more[c.name] = map[string]int{}
			}
			for step := range strings.Lines(string(try.E1(os.ReadFile(log)))) {
				more[c.name][step] += sign
			}
		}
	}
	got := strings.SplitAfter(content, "\n\n")[0]
	for _, c := range builds {
		got += c.name + "\n"
		for _, step := range slices.Sorted(maps.Keys(more[c.name])) {
			if n := more[c.name][step]; n != 0 {
				got += fmt.Sprintf("%+3d %s", n, step)
			}
		}
		got += "\n"
	}
	if *update {
		try.E(os.WriteFile("testdata/steps.txt", []byte(got), 0o666))
	} else if got != content {
		t.Errorf("the builds have other steps than testdata/steps.txt says. If that is right: "+
			"HMETRICS_TEST_SLOW=1 go test ./test/bench -run TestSteps -update\ngot\n%s\nwant\n%s", got, content)
	}
}

// recordSteps has all builds use a GOROOT in which the recorder stands in front of each
// tool, and returns the file that it writes to.
func (w *workspace) recordSteps() (log string) {
	real := filepath.Dir(filepath.Dir(w.gocmd))
	goroot := w.dir("goroot")
	log = filepath.Join(goroot, "log")
	for _, name := range []string{"src", "lib", "VERSION", "go.env", "pkg/include"} {
		try.E(os.MkdirAll(filepath.Dir(filepath.Join(goroot, name)), 0o777))
		try.E(os.Symlink(filepath.Join(real, name), filepath.Join(goroot, name)))
	}
	record := func(dir, realDir string) {
		try.E(os.MkdirAll(filepath.Join(goroot, dir), 0o777))
		script := strings.NewReplacer("LOG", log, "REAL", realDir).Replace(recorder)
		for _, tool := range try.E1(os.ReadDir(realDir)) {
			try.E(os.WriteFile(filepath.Join(goroot, dir, tool.Name()), []byte(script), 0o777))
		}
	}
	tools := filepath.Join("pkg", "tool", runtime.GOOS+"_"+runtime.GOARCH)
	record(tools, filepath.Join(real, tools))
	// The go command finds its GOROOT by where its own file is.
	try.E(os.CopyFS(filepath.Join(goroot, "real"), os.DirFS(filepath.Join(real, "bin"))))
	record("bin", filepath.Join(goroot, "real"))
	w.gocmd = filepath.Join(goroot, "bin", "go")
	return log
}

// A step that is not ours starts no process: the tool runs as the process that the go
// command has started, and that has waited for none.
func TestForeignStep(t *testing.T) {
	w := openWorkspace(t.Context(), t.TempDir())
	defer w.close()
	env, step := w.step(t.Context())
	stat, _ := w.run(t.Context(), w.tmp, env, step[0], "/bin/cat", "/proc/self/stat")
	const faultsOfChildren = 10 // proc_pid_stat(5) has it as the 11th: cminflt
	if fields := strings.Fields(stat); fields[faultsOfChildren] != "0" {
		t.Errorf("bin/toolexec has waited for a process: %s", stat)
	}
}

// step returns the arguments of a step that the -toolexec in GOFLAGS runs unchanged: the
// assembler's -V=full, which costs the tool itself almost nothing.
func (w *workspace) step(ctx context.Context) (env, args []string) {
	env = w.newBuilder(ctx, buildpack, "", w.dir("step")).env
	toolexec := regexp.MustCompile(`GOFLAGS=.*-toolexec=(\S+)`).FindStringSubmatch(strings.Join(env, "\n"))[1]
	tooldir, _ := w.run(ctx, w.tmp, w.environ, w.gocmd, "env", "GOTOOLDIR")
	return env, []string{toolexec, filepath.Join(tooldir, "asm"), "-V=full"}
}
