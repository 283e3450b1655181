//go:build linux

package script

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// faultCmds are the commands that only the scenarios in faults use.
var faultCmds = map[string]func(*testscript.TestScript, bool, []string){
	"absent":   cmdAbsent,
	"again":    cmdAgain,
	"at":       cmdAt,
	"gocache":  cmdGocache,
	"killed":   cmdKilled,
	"mounted":  cmdMounted,
	"parallel": cmdParallel,
	"socket":   cmdSocket,
}

// TestFaultScripts runs the scenarios in faults: what can go wrong around a
// build. Each ends in a binary with the agent, or in one without it and a
// reason. After each, the build cache gives a build without the buildpack what
// it gave before.
func TestFaultScripts(t *testing.T) {
	t.Parallel()
	p := params(t)
	p.Dir = "faults"
	for name, cmd := range faultCmds {
		p.Cmds[name] = cmd
	}
	testscript.Run(t, p)
}

// absent [FILE] builds $APP as if the buildpack were absent, on the same build
// cache: the first time to FILE, by default $WORK/plain, and later it must be what
// FILE is.
func cmdAbsent(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: absent [FILE]")
	}
	file := filepath.Join(ts.Getenv("WORK"), "plain")
	if len(args) == 1 {
		file = ts.MkAbs(args[0])
	}
	build := []string{"env", "-C", ts.Getenv("APP"), "-u", "GOFLAGS", "-u", "HMETRICS_STAGE", "-u", "HMETRICS_INJECT", "go", "build"}
	if _, err := os.Stat(file); err == nil {
		buildAgain(ts, file, build)
		return
	}
	ts.Check(ts.Exec(build[0], append(build[1:], "-o", file, ".")...))
}

// again FILE builds the app in the working directory, which must be what FILE is.
func cmdAgain(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: again FILE")
	}
	buildAgain(ts, ts.MkAbs(args[0]), []string{"go", "build"})
}

func buildAgain(ts *testscript.TestScript, file string, build []string) {
	again := filepath.Join(ts.Getenv("WORK"), "again")
	ts.Check(os.RemoveAll(again))
	ts.Check(ts.Exec(build[0], append(build[1:], "-o", again, ".")...))
	if ts.ReadFile(again) != ts.ReadFile(file) {
		ts.Fatalf("what was built now is not what %s is", file)
	}
}

// at PATTERN COMMAND has the shell run COMMAND once in go commands from now on:
// when the first one of its tools' command lines matches PATTERN (sh's case),
// before bin/toolexec sees it.
func cmdAt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: at PATTERN COMMAND")
	}
	dir := filepath.Join(ts.Getenv("WORK"), "at")
	ts.Check(os.RemoveAll(dir))
	ts.Check(os.Mkdir(dir, 0o777))
	script := "#!/bin/sh\ncase \" $* \" in " + args[0] + ") mkdir " + dir + "/done 2>/dev/null && {\n" +
		args[1] + "\n} >&2 ;;\nesac\nexec " + ts.Getenv("BUILDPACK") + "/bin/toolexec \"$@\"\n"
	ts.Check(os.WriteFile(filepath.Join(dir, "toolexec"), []byte(script), 0o777))
	ts.Setenv("GOFLAGS", "-toolexec="+filepath.Join(dir, "toolexec"))
	ts.Setenv("EXPORTED_GOFLAGS", ts.Getenv("GOFLAGS"))
}

// gocache gives the scenario a build cache of its own, which holds what the
// shared one does.
func cmdGocache(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: gocache")
	}
	src, dst := ts.Getenv("GOCACHE"), filepath.Join(ts.Getenv("WORK"), "gocache")
	ts.Check(filepath.WalkDir(src, func(name string, e fs.DirEntry, err error) error {
		if err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // trimmed by another go command
			}
			return err
		}
		to := filepath.Join(dst, strings.TrimPrefix(name, src))
		switch {
		case e.IsDir():
			return os.MkdirAll(to, 0o777)
		// The go command writes the index (-a) over, never an output (-d),
		// whose name is its hash.
		case strings.HasSuffix(name, "-d") && os.Link(name, to) == nil:
			return nil
		}
		b, err := os.ReadFile(name)
		if err != nil {
			return nil
		}
		return os.WriteFile(to, b, 0o666)
	}))
	ts.Setenv("GOCACHE", dst)
}

// mounted DIR [OPTIONS] mounts a tmpfs on DIR until the scenario ends, and
// makes DIR where it does not exist. "mounted DIR ro" mounts DIR on itself,
// read-only.
func cmdMounted(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: mounted DIR [OPTIONS]")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o777))
	options := ""
	if len(args) == 2 {
		options = args[1]
	}
	var err error
	switch options {
	case "ro":
		if err = syscall.Mount(dir, dir, "", syscall.MS_BIND, ""); err == nil {
			err = syscall.Mount(dir, dir, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
		}
	case "noexec":
		err = syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_NOEXEC, "")
	default:
		err = syscall.Mount("tmpfs", dir, "tmpfs", 0, options)
	}
	// Detached, since a process that was killed may still hold it.
	ts.Defer(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	ts.Check(err)
}

// socket COMMAND [ARG...] runs a command with a socket as its stderr, as some
// build systems do. What it writes there is this command's stdout.
func cmdSocket(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: socket COMMAND [ARG...]")
	}
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	ts.Check(err)
	ours, theirs := os.NewFile(uintptr(fds[0]), "socket"), os.NewFile(uintptr(fds[1]), "socket")
	defer ours.Close()
	cmd := exec.Command("env", args...)
	cmd.Env, cmd.Dir, cmd.Stderr = environ(ts), ts.MkAbs("."), theirs
	err = cmd.Start()
	theirs.Close()
	ts.Check(err)
	out, err := io.ReadAll(ours)
	ts.Check(err)
	ts.Check(cmd.Wait())
	ts.Check(ts.Exec("printf", "%s", string(out)))
}

// times returns the N of a command NAME N COMMAND [ARG...].
func times(ts *testscript.TestScript, neg bool, name string, args []string) (n int) {
	if len(args) > 1 {
		n, _ = strconv.Atoi(args[0])
	}
	if neg || n == 0 {
		ts.Fatalf("usage: %s N COMMAND [ARG...]", name)
	}
	return n
}

// parallel N COMMAND [ARG...] runs a command N times at once. In its arguments,
// %d stands for the number of the run. All must succeed; what they write is
// this command's stdout.
func cmdParallel(ts *testscript.TestScript, neg bool, args []string) {
	n := times(ts, neg, "parallel", args)
	env, dir := environ(ts), ts.MkAbs(".")
	outs, errs := make([][]byte, n), make([]error, n)
	var wg sync.WaitGroup
	for i := 0; i < n; i++ {
		i := i
		var words []string
		for _, arg := range args[1:] {
			words = append(words, strings.ReplaceAll(arg, "%d", strconv.Itoa(i)))
		}
		cmd := exec.Command("env", words...)
		cmd.Env, cmd.Dir = env, dir
		wg.Add(1)
		go func() {
			defer wg.Done()
			outs[i], errs[i] = cmd.CombinedOutput()
		}()
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			ts.Fatalf("run %d of %d: %v\n%s", i, n, err, outs[i])
		}
	}
	ts.Check(ts.Exec("printf", "%s", string(bytes.Join(outs, nil))))
}

// killed N COMMAND [ARG...] starts a command that builds $APP N times, and every
// time kills it and all its descendants at a random moment. For every second
// run the stage is as bin/compile left it; for all, the app has changed. The
// environment variable HMETRICS_TEST_SEED repeats the moments of another run.
func cmdKilled(ts *testscript.TestScript, neg bool, args []string) {
	n := times(ts, neg, "killed", args)
	env, dir := environ(ts), ts.MkAbs(".")
	seed := time.Now().UnixNano()
	if s := os.Getenv("HMETRICS_TEST_SEED"); s != "" {
		var err error
		seed, err = strconv.ParseInt(s, 10, 64)
		ts.Check(err)
	}
	ts.Logf("HMETRICS_TEST_SEED=%d", seed)
	random := rand.New(rand.NewSource(seed))

	prepare := func(i int) {
		main := filepath.Join(ts.Getenv("APP"), "main.go")
		text := fmt.Sprintf("package main\n\nfunc main() { println(%d) }\n", i)
		ts.Check(os.WriteFile(main, []byte(text), 0o666))
		if i%2 == 0 {
			ts.Check(emptyStage(ts.Getenv("HMETRICS_STAGE")))
		}
	}
	cmd := func() *exec.Cmd {
		cmd := exec.Command(args[1], args[2:]...)
		cmd.Env, cmd.Dir = env, dir
		return cmd
	}
	prepare(0)
	whole, _, err := runUntil(cmd(), time.Hour)
	ts.Check(err)
	completed := 0
	for i := 0; i < n; i++ {
		prepare(i)
		after := time.Duration(random.Int63n(int64(whole)))
		_, over, err := runUntil(cmd(), after)
		if err != nil {
			ts.Fatalf("run %d of %d: %v", i, n, err)
		}
		if over {
			completed++
		}
	}
	ts.Check(ts.Exec("echo", fmt.Sprintf("HMETRICS_TEST_SEED=%d: %d runs killed within %v, %d of them were over", seed, n, whole, completed)))
	if completed > n*3/4 {
		ts.Fatalf("most runs were over before they could be killed")
	}
}

// runUntil runs a command, and after that time kills it and all its descendants. It
// reports how long it took, and whether it was over before.
func runUntil(cmd *exec.Cmd, after time.Duration) (took time.Duration, over bool, err error) {
	// All descendants inherit the pipe's other end. It is at its end when the last one
	// has ended.
	r, w, err := os.Pipe()
	if err != nil {
		return 0, false, err
	}
	defer r.Close()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	start := time.Now()
	err = cmd.Start()
	w.Close()
	if err != nil {
		return 0, false, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	kill := time.NewTimer(after)
	defer kill.Stop()
	select {
	case err = <-ended:
		over = true
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, out.String())
		}
	case <-kill.C:
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
	}
	took = time.Since(start)
	if err == nil {
		r.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, rerr := r.Read(make([]byte, 1)); rerr != io.EOF {
			err = fmt.Errorf("killed after %v, but something is still running: %w", after, rerr)
		}
	}
	return took, over, err
}

// emptyStage removes what was added to a stage since bin/compile.
func emptyStage(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		// What a killed run has left behind stays, to be found later.
		name := e.Name()
		if name == "shaded" || name == "listings" || strings.HasPrefix(name, "inject-") && strings.Count(name, ".") == 0 {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}
