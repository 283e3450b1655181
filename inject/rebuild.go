//go:build !toolexec

package main

import (
	"bytes"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

// A rebuilder builds once more, now with the agent, what a Go buildpack has
// built before this buildpack came.
type rebuilder struct {
	stage    stage
	work     string // directory for what is being made; the caller of the command removes it
	toolexec string
	gocmd    string
	bin, app string
	env      []string // that of the Go buildpack
	require  bool     // HMETRICS_INJECT
	log      io.Writer

	version string          // the Go release that gocmd is in app
	modules map[string]bool // main modules: the app's, or those of its workspace
}

// A binary is one of the app's programs in the bin directory.
type binary struct {
	names    []string // more than one if they are hard links to one file
	file     os.FileInfo
	build    *debug.BuildInfo
	settings map[string]string // of build, by their keys
	made     string            // the new one, in the work directory
}

// rebuild rebuilds the app's programs in a directory, tells so in the form of a
// build log, and leaves a line in the file "result" of the work directory: the
// numbers of the app's programs, of those rebuilt, and of those that could not
// be, and the seconds that it took. A program that cannot be rebuilt stays what it
// was. Under HMETRICS_INJECT=require that is an error, and all stay what they were.
func rebuild(args []string, w io.Writer) error {
	if len(args) != 5 {
		return errUsage
	}
	st, err := openStage(os.Getenv("HMETRICS_STAGE"))
	if err != nil {
		return err
	}
	r := rebuilder{
		stage: st, work: args[0], toolexec: args[1], gocmd: args[2], bin: args[3], app: args[4],
		env: os.Environ(), require: os.Getenv("HMETRICS_INJECT") == "require", log: w,
	}
	start := time.Now()
	found, rebuilt, kept, err := r.run()
	if err != nil {
		return err
	}
	result := fmt.Sprintf("%d %d %d %.1f\n", found, rebuilt, kept, time.Since(start).Seconds())
	return os.WriteFile(filepath.Join(r.work, "result"), []byte(result), 0o666)
}

func (r rebuilder) run() (found, rebuilt, kept int, err error) {
	all, err := r.find()
	if err != nil || len(all) == 0 {
		return 0, 0, 0, err
	}
	out, err := r.goRun(nil, "list", "-m", "-f", "{{.Path}}")
	if err != nil {
		return 0, 0, 0, fmt.Errorf("finding the app's modules: %w", err)
	}
	r.modules = flagSet(out)
	if r.version, err = r.goRun(nil, "env", "GOVERSION"); err != nil {
		return 0, 0, 0, err
	}
	patterns, err := r.stage.patterns()
	if err != nil {
		return 0, 0, 0, err
	}

	say := func(format string, args ...interface{}) { fmt.Fprintf(r.log, format+"\n", args...) }
	var made []*binary
	for i := range all {
		b := &all[i]
		if !r.own(b) {
			continue
		}
		if found++; found == 1 {
			say("-----> Rebuilding with Go runtime metrics")
		}
		if !mainOf(b.build).selected(patterns) {
			say("       %s stays as it is: HMETRICS_PACKAGES does not select it", r.title(b))
			continue
		}
		if inspect(filepath.Join(r.bin, b.names[0])).Linked {
			say("       %s has the metrics agent", r.title(b))
			continue
		}
		start := time.Now()
		err := r.make(b, fmt.Sprint(i))
		switch {
		case err == nil:
			made = append(made, b)
			say("       %s (%.1f s)", r.title(b), time.Since(start).Seconds())
		case r.require:
			return 0, 0, 0, fmt.Errorf("%s cannot get the metrics agent: %w", r.title(b), err)
		default:
			kept++
			say(" !     %s stays as it was, without the metrics agent: %v", r.title(b), err)
		}
	}
	for _, b := range made {
		if err := r.replace(b); err != nil {
			err = fmt.Errorf("replacing %s: %w", r.title(b), err)
			if r.require {
				return 0, 0, 0, err
			}
			kept++
			say(" !     %v", err)
			continue
		}
		rebuilt++
	}
	return found, rebuilt, kept, nil
}

const temporary = ".hmetrics-rebuild-"

// find returns the Go programs in the bin directory. It follows no symbolic
// link: one that leads to another file there leads to the new one later.
func (r rebuilder) find() ([]binary, error) {
	entries, err := os.ReadDir(r.bin)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []binary
next:
	for _, e := range entries {
		name := filepath.Join(r.bin, e.Name())
		file, err := os.Lstat(name)
		if err != nil || !file.Mode().IsRegular() {
			continue
		}
		if strings.HasPrefix(e.Name(), temporary) {
			os.Remove(name) // of a build that was killed
			continue
		}
		for i := range all {
			if os.SameFile(all[i].file, file) {
				all[i].names = append(all[i].names, e.Name())
				continue next
			}
		}
		if build, err := buildinfo.ReadFile(name); err == nil {
			all = append(all, binary{names: []string{e.Name()}, file: file, build: build, settings: r.settings(build, name)})
		}
	}
	return all, nil
}

// own reports whether injection is meant for such a program: a Linux executable
// of the app's own modules, or one that was built from a list of files, of which
// the build information names no module.
func (r rebuilder) own(b *binary) bool {
	switch b.settings["-buildmode"] {
	case "exe", "pie":
	default:
		return false
	}
	if b.settings["GOOS"] != "linux" || b.settings["-compiler"] != "gc" {
		return false
	}
	if b.build.Path == commandLineArguments {
		return true
	}
	// go test -c names the package that way.
	if strings.HasSuffix(b.build.Path, ".test") {
		return false
	}
	return r.modules[b.build.Main.Path] && within(b.build.Path, b.build.Main.Path)
}

// mainOf returns the main package of a program.
func mainOf(b *debug.BuildInfo) mainPackage {
	p := mainPackage{importPath: b.Path, relative: "."}
	if b.Path != b.Main.Path {
		p.relative = "./" + strings.TrimPrefix(b.Path, b.Main.Path+"/")
	}
	return p
}

// title returns the names of a program as the user knows them.
func (r rebuilder) title(b *binary) string {
	dir := ""
	if rel, err := filepath.Rel(r.app, r.bin); err == nil && !strings.HasPrefix(rel, "..") {
		dir = "./" + filepath.ToSlash(rel) + "/"
	}
	return dir + strings.Join(b.names, ", "+dir)
}

// make builds the new program, in the work directory.
func (r rebuilder) make(b *binary, name string) error {
	if b.build.Path == commandLineArguments {
		return errors.New("it was built from a list of Go files; build its package instead (go build ./DIR)")
	}
	if !strings.HasPrefix(b.build.GoVersion, r.version) {
		return fmt.Errorf("%s built it, and the Go buildpack has %s", b.build.GoVersion, r.version)
	}
	old := filepath.Join(r.bin, b.names[0])
	content, err := os.ReadFile(old)
	if err != nil {
		return err
	}
	switch id, err := goBuildID(content); {
	case err != nil:
		return fmt.Errorf("reading its build ID: %w", err)
	case strings.Count(id, "/") == 3 && !asLinked(content, id):
		return errors.New("it was changed after the go command built it (stripped, packed, or with files added)")
	}

	flags, env, err := r.same(b, content)
	if err != nil {
		return err
	}
	b.made = filepath.Join(r.work, name)
	goflags := strings.TrimSpace(withoutBuildpack(getenv(r.env, "GOFLAGS")) + " -toolexec=" + r.toolexec)
	// With require, a failure is the go command's, and tells the reason.
	env = append(env, "GOFLAGS="+goflags, "HMETRICS_INJECT=require")
	if _, err := r.goBuild(b.made, env, flags, b.build.Path); err != nil {
		return err
	}
	if v := inspect(b.made); !v.Linked || v.Injection != r.stage.id() {
		return fmt.Errorf("the agent is not in the rebuilt one (%v)", v)
	}
	build, err := buildinfo.ReadFile(b.made)
	if err != nil {
		return err
	}
	if d := difference(b.build, withoutAgent(build)); d != "" {
		return fmt.Errorf("the rebuilt one has %s", d)
	}
	return nil
}

// same returns flags and environment with which the go command, without the
// agent, makes this very binary. Build information alone would not do: it lacks
// some flags, and the sources may have changed since.
func (r rebuilder) same(b *binary, content []byte) (flags, env []string, err error) {
	ref := filepath.Join(r.work, "ref")
	defer os.Remove(ref)
	flags, env = r.recipe(b)
	// GOFLAGS may have this buildpack's -toolexec, if it came before too.
	plain := append(append([]string{}, env...), "HMETRICS_INJECT=off")
	for _, more := range r.unrecorded(b) {
		try := append(append([]string{}, flags...), more...)
		// The go command links nothing if what is there is what it would
		// make.
		if err := os.WriteFile(ref, content, 0o777); err != nil {
			return nil, nil, err
		}
		if _, err := r.goBuild(ref, plain, try, b.build.Path); err != nil {
			return nil, nil, fmt.Errorf("it cannot be built again: %w", err)
		}
		made, err := os.ReadFile(ref)
		if err != nil {
			return nil, nil, err
		}
		if bytes.Equal(made, content) {
			return try, env, nil
		}
		// What is recorded of the repository changes as the build goes on,
		// and then nothing else can be told from the content.
		if b.settings["vcs"] != "" && b.settings["-trimpath"] == "" {
			is, err := buildinfo.ReadFile(ref)
			if err == nil && difference(b.build, is) == "" {
				return try, env, nil
			}
		}
	}
	return nil, nil, errors.New("today's sources and settings make another binary than this one")
}

// goBuild runs go build.
func (r rebuilder) goBuild(out string, env, flags []string, pkg string) (string, error) {
	return r.goRun(env, append(append([]string{"build", "-o", out}, flags...), pkg)...)
}

// goRun runs the go command in the app's directory. An error holds the line of
// the messages that tells the reason.
func (r rebuilder) goRun(env []string, args ...string) (string, error) {
	cmd := exec.Command(r.gocmd, args...)
	cmd.Dir = r.app
	cmd.Env = setenv(r.env, append([]string{"PWD=" + r.app}, env...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if line := reason(stderr.String()); line != "" {
			return "", errors.New(line)
		}
		return "", fmt.Errorf("go %s: %w", args[0], err)
	}
	return strings.TrimSpace(stdout.String()), nil
}

// reason returns the line of a go command's messages that tells why it failed,
// without what bin/toolexec and step put before the reason.
func reason(messages string) string {
	for _, line := range strings.Split(messages, "\n") {
		if !strings.HasPrefix(line, "hmetrics: ") {
			continue
		}
		for _, before := range []string{"the metrics agent cannot be linked: ", "the metrics agent is not linked into "} {
			if i := strings.Index(line, before); i >= 0 {
				return line[i+len(before):]
			}
		}
		return strings.TrimPrefix(line, "hmetrics: ")
	}
	return oneLine(messages)
}

// replace puts the new program in the old one's place, each name in one move.
func (r rebuilder) replace(b *binary) error {
	first := ""
	for _, name := range b.names {
		tmp, err := r.temp(b, first)
		if err != nil {
			return err
		}
		first = filepath.Join(r.bin, name)
		if err := os.Rename(tmp, first); err != nil {
			os.Remove(tmp)
			return err
		}
	}
	return os.Remove(b.made)
}

// temp puts the new program into the bin directory under a name of its own, with
// the old one's owner and mode. The second name of a program becomes a link to
// the first.
func (r rebuilder) temp(b *binary, first string) (name string, err error) {
	out, err := os.CreateTemp(r.bin, temporary+"*")
	if err != nil {
		return "", err
	}
	defer func() {
		if cerr := out.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			os.Remove(out.Name())
		}
	}()
	if first != "" {
		if err := os.Remove(out.Name()); err != nil {
			return "", err
		}
		return out.Name(), os.Link(first, out.Name())
	}
	in, err := os.Open(b.made)
	if err != nil {
		return "", err
	}
	defer in.Close()
	if _, err := io.Copy(out, in); err != nil {
		return "", err
	}
	if owner, ok := b.file.Sys().(*syscall.Stat_t); ok && (int(owner.Uid) != os.Geteuid() || int(owner.Gid) != os.Getegid()) {
		if err := out.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
			return "", err
		}
	}
	return out.Name(), out.Chmod(b.file.Mode())
}
