package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"
)

func init() { commands["rebuild"] = rebuild }

// A rebuilder builds once more, now with the agent, what a Go buildpack has
// built before this buildpack came.
type rebuilder struct {
	stage    stage
	work     string // directory for what is being made; the caller of the command removes it
	toolexec string // bin/toolexec
	gocmd    string
	bin, app string
	env      []string // that of the Go buildpack
	require  bool     // HMETRICS_INJECT
	log      io.Writer

	version   string            // the Go release that gocmd is in app
	modules   map[string]string // the app's, and in which directory each is
	workspace map[string]bool   // those of its go.work, if it has one
}

// A binary is one of the app's programs in the bin directory.
type binary struct {
	names    []string // more than one if they are hard links to one file
	file     os.FileInfo
	build    *debug.BuildInfo
	settings map[string]string // of build, by their keys
	made     string            // the new one, in the work directory
}

// noProgram is the exit status of inject rebuild where there is no program of the
// app.
const noProgram exitStatus = 3

// rebuild rebuilds the app's programs in a directory, tells so in the form of a
// build log, and leaves what bin/report tells of it in a file. A program that
// cannot be rebuilt stays what it was. Under HMETRICS_INJECT=require that is an
// error, and all stay what they were.
func rebuild(args []string) error {
	if len(args) < 7 || len(args) > 8 {
		return errUsage
	}
	st, err := openStage(os.Getenv("HMETRICS_STAGE"))
	if err != nil {
		return err
	}
	r := rebuilder{
		stage: st, work: args[0], toolexec: args[1], gocmd: args[3], bin: args[4], app: args[5],
		env: os.Environ(), require: os.Getenv("HMETRICS_INJECT") == "require", log: os.Stdout,
	}
	envDir, first := args[6], "let this buildpack come before heroku/go in project.toml."
	if len(args) == 8 {
		r.env = r.herokuGoEnv(r.env, envDir, args[7])
		first = "let this buildpack come first:\n" +
			"       heroku buildpacks:remove " + buildpackURL + " && heroku buildpacks:add --index 1 " + buildpackURL
	}
	start := time.Now()
	found, rebuilt, kept, err := r.run()
	switch {
	case err != nil:
		return err
	case found == 0:
		return noProgram
	}
	seconds := fmt.Sprintf("%.1f", time.Since(start).Seconds())
	if rebuilt > 0 {
		fmt.Fprintf(r.log, "       Programs that got the metrics agent: %d, in %s s.\n", rebuilt, seconds)
	}
	// With a GOFLAGS of the user's own, coming last is what works everywhere.
	switch goflags := envDir != "" && exists(filepath.Join(envDir, "GOFLAGS")); {
	case goflags:
	case kept > 0:
		fmt.Fprintf(r.log, " !     The Go buildpack can link the agent itself: %s\n", first)
	case rebuilt > 0:
		fmt.Fprintf(r.log, "       Each program was built twice. To have it built once, %s\n", first)
	}
	result := fmt.Sprintf("\"rebuilt\": %d, \"kept\": %d, \"rebuild_seconds\": %s\n", rebuilt, kept, seconds)
	return os.WriteFile(args[2], []byte(result), 0o666)
}

func (r rebuilder) run() (found, rebuilt, kept int, err error) {
	all, err := r.find()
	if err != nil || len(all) == 0 {
		return 0, 0, 0, err
	}
	r.modules = modulesIn(r.app)
	settings, err := r.goRun(r.app, nil, "env", "GOVERSION", "GOWORK")
	if err != nil {
		return 0, 0, 0, err
	}
	r.version = strings.Fields(settings)[0]
	if len(strings.Fields(settings)) > 1 {
		modules, err := r.goRun(r.app, nil, "list", "-m", "-f", "{{.Path}}")
		if err != nil {
			return 0, 0, 0, fmt.Errorf("reading go.work: %w", err)
		}
		r.workspace = make(map[string]bool)
		for _, path := range strings.Fields(modules) {
			r.workspace[path] = true
		}
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
			if missing := unmatched(patterns, r.app); len(missing) > 0 {
				problem := printable("HMETRICS_PACKAGES: no program of the app matches " + strings.Join(missing, " "))
				if r.require {
					return 0, 0, 0, errors.New(problem)
				}
				say(" !     %s", problem)
			}
		}
		if !r.program(b).selected(patterns) {
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

// program returns the program that a binary is.
func (r rebuilder) program(b *binary) program {
	return programOf(b.build, vendored(buildFlags{dir: r.modules[b.build.Main.Path]}))
}

// own reports whether a binary is a Linux executable of the app's own modules. go
// test -c names the package of what it builds with a suffix.
func (r rebuilder) own(b *binary) bool {
	switch b.settings["-buildmode"] {
	case "exe", "pie":
	default:
		return false
	}
	if b.settings["GOOS"] != "linux" || b.settings["-compiler"] != "gc" || strings.HasSuffix(b.build.Path, ".test") {
		return false
	}
	p := r.program(b)
	return p.own && (p.path == commandLineArguments || r.modules[p.module] != "")
}

// modulesIn returns the directories of the modules in the tree of an app.
func modulesIn(app string) map[string]string {
	modules := make(map[string]string)
	walkModule(app, func(name string) {
		if filepath.Base(name) != "go.mod" {
			return
		}
		if b, err := os.ReadFile(name); err == nil {
			modules[modulePath(string(b))] = filepath.Dir(name)
		}
	})
	return modules
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
	said := filepath.Join(r.work, reasonFile)
	os.Remove(said)
	// The -toolexec in GOFLAGS has bin/toolexec find one of the user's own.
	goflags := strings.TrimSpace(withoutBuildpack(getenv(r.env, "GOFLAGS")) + " -toolexec=" + r.toolexec)
	overlay, err := r.overlay(b)
	if err != nil {
		return err
	}
	flags = append([]string{"-toolexec=" + r.toolexec + " -rebuild " + r.work, "-overlay=" + overlay}, flags...)
	if _, err := r.goBuild(b, b.made, append(env, "GOFLAGS="+goflags), flags); err != nil {
		if reason, rerr := os.ReadFile(said); rerr == nil {
			return errors.New(strings.TrimSpace(string(reason)))
		}
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
		if _, err := r.goBuild(b, ref, plain, try); err != nil {
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
	return nil, nil, errors.New("building it again from the sources and settings at hand makes another program")
}

// overlay returns a file for -overlay, with which the main package has one more
// file. Without it the go command would take the package as the Go buildpack has
// compiled it, without the hook, from its cache.
func (r rebuilder) overlay(b *binary) (name string, err error) {
	var overlay struct{ Replace map[string]string }
	p := r.program(b)
	if other := r.goflags()["-overlay"]; other != "" {
		data, err := os.ReadFile(absolute(other, r.modules[p.module]))
		if err == nil {
			err = json.Unmarshal(data, &overlay)
		}
		if err != nil {
			return "", fmt.Errorf("reading the -overlay of GOFLAGS: %w", err)
		}
	}
	if overlay.Replace == nil {
		overlay.Replace = make(map[string]string)
	}
	source := filepath.Join(r.work, "overlay.go")
	overlay.Replace[filepath.Join(r.modules[p.module], p.relative, "hmetrics_"+r.stage.id()+".go")] = source
	data, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(source, []byte("package main\n"), 0o666); err != nil {
		return "", err
	}
	name = filepath.Join(r.work, "overlay.json")
	return name, os.WriteFile(name, data, 0o666)
}

// goBuild builds the program that a binary is, in the directory of its module.
func (r rebuilder) goBuild(b *binary, out string, env, flags []string) (string, error) {
	if r.workspace != nil && !r.workspace[b.build.Main.Path] {
		env = append(env[:len(env):len(env)], "GOWORK=off")
	}
	args := append(append([]string{"build", "-o", out}, flags...), b.build.Path)
	return r.goRun(r.modules[b.build.Main.Path], env, args...)
}

func (r rebuilder) goRun(dir string, env []string, args ...string) (string, error) {
	out, err := runGo(r.gocmd, dir, r.env, env, rebuildTimeout, args...)
	return strings.TrimSpace(out), err
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
