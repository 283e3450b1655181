package main

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/gocmd"
	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/program"
	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/stage"
)

const rebuildTimeout = time.Hour

// A rebuilder builds once more, now with the agent, what a Go buildpack has
// built before this buildpack came.
type rebuilder struct {
	stage    stage.Stage
	work     string // directory for what is being made; the caller of the command removes it
	toolexec string // bin/toolexec
	gocmd    string
	bin, app string
	env      []string // that of the Go buildpack
	require  bool     // HMETRICS_INJECT
	log      io.Writer

	patterns  []string          // HMETRICS_PACKAGES
	modules   map[string]string // the app's, and in which directory each is
	workspace map[string]bool   // those of its go.work; nil: it has none

	found, rebuilt, kept int // programs of the app, those with a new one, those for which it failed
}

// A binary is one of the programs in the bin directory.
type binary struct {
	names []string // more than one if they are hard links to one file
	file  os.FileInfo
	build *debug.BuildInfo
	made  string // the new one, beside the old one
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
		return usageError("usage: see go doc ./inject\n")
	}
	st, err := stage.Open(os.Getenv("HMETRICS_STAGE"))
	if err != nil {
		return err
	}
	r := rebuilder{
		stage: st, work: args[0], toolexec: args[1], gocmd: args[3], bin: args[4], app: args[5],
		env: os.Environ(), require: os.Getenv("HMETRICS_INJECT") == "require", log: os.Stdout,
	}
	envDir, first := args[6], "let this buildpack come before heroku/go in project.toml."
	if len(args) == 8 {
		os.Unsetenv("GIT_DIR") // as heroku/go does
		r.env = r.herokuGoEnv(os.Environ(), envDir, args[7])
		first = "let this buildpack come first:\n" +
			"       heroku buildpacks:remove " + "https://" + program.Module + " && heroku buildpacks:add --index 1 " + "https://" + program.Module
	}
	start := time.Now()
	if err := r.run(); err != nil {
		return err
	}
	if r.found == 0 {
		return noProgram
	}
	seconds := time.Since(start).Seconds()
	if r.rebuilt > 0 {
		r.say("       Programs that got the metrics agent: %d, in %.1f s.", r.rebuilt, seconds)
	}
	// With a GOFLAGS of the user's own, coming last is what works everywhere.
	switch goflags := envDir != "" && exists(filepath.Join(envDir, "GOFLAGS")); {
	case goflags:
	case r.kept > 0:
		r.say(" !     The Go buildpack can link the agent itself: %s", first)
	case r.rebuilt > 0:
		r.say("       Each program was built twice. To have it built once, %s", first)
	}
	result := fmt.Sprintf("\"rebuilt\": %d, \"kept\": %d, \"rebuild_seconds\": %.1f\n", r.rebuilt, r.kept, seconds)
	return os.WriteFile(args[2], []byte(result), 0o666)
}

func (r *rebuilder) say(format string, args ...interface{}) { fmt.Fprintf(r.log, format+"\n", args...) }

func (r *rebuilder) run() error {
	binaries, err := r.find()
	if err != nil || len(binaries) == 0 {
		return err
	}
	if r.patterns, err = r.stage.Patterns(); err != nil {
		return err
	}
	if err := r.readApp(); err != nil {
		return err
	}
	defer func() {
		for _, b := range binaries {
			os.Remove(b.made)
		}
	}()
	for _, b := range binaries {
		if p := r.program(b); p.Own && (p.Path == program.CommandLineArguments || r.modules[p.Module] != "") {
			if err := r.try(b, p); err != nil {
				return err
			}
		}
	}
	for _, b := range binaries {
		if b.made == "" {
			continue
		}
		if err := r.replace(b); err != nil {
			if err := r.keep(b, err); err != nil {
				return err
			}
			continue
		}
		r.rebuilt++
	}
	return nil
}

// try makes a new program, if the program is to have the agent, and tells of it.
func (r *rebuilder) try(b *binary, p program.Program) error {
	if r.found++; r.found == 1 {
		r.say("-----> Rebuilding with Go runtime metrics")
		if err := program.Unmatched(r.patterns, []string{r.app}); err != nil && r.require {
			return err
		} else if err != nil {
			r.say(" !     %s", gocmd.Printable(err.Error()))
		}
	}
	err := p.Eligible(program.Setting(b.build, "GOOS"), program.Setting(b.build, "-buildmode"), r.patterns)
	start := time.Now()
	switch {
	case err != nil:
		r.say("       %s stays as it is: %v", r.title(b), err)
	case inspect(filepath.Join(r.bin, b.names[0])).Linked:
		r.say("       %s has the metrics agent", r.title(b))
	default:
		if err := r.make(b); err != nil {
			os.Remove(b.made)
			b.made = ""
			return r.keep(b, err)
		}
		r.say("       %s (%.1f s)", r.title(b), time.Since(start).Seconds())
	}
	return nil
}

// keep tells why a program stays what it was, or returns that as an error.
func (r *rebuilder) keep(b *binary, why error) error {
	if r.require {
		return fmt.Errorf("%s cannot get the metrics agent: %w", r.title(b), why)
	}
	r.kept++
	r.say(" !     %s stays as it was, without the metrics agent: %s", r.title(b), gocmd.Printable(why.Error()))
	return nil
}

// readApp finds the app's modules: all in its directory.
func (r *rebuilder) readApp() error {
	r.modules = make(map[string]string)
	program.Walk(r.app, func(name string) {
		if b, err := os.ReadFile(name); filepath.Base(name) == "go.mod" && err == nil {
			r.modules[program.ModulePath(string(b))] = filepath.Dir(name)
		}
	})
	// A broken GOFLAGS is told of each program.
	if work, err := r.goRun(r.app, nil, "env", "GOWORK"); err != nil || work == "" || work == "off" {
		return nil
	}
	modules, err := r.goRun(r.app, nil, "list", "-m", "-f", "{{.Path}}")
	if err != nil {
		return fmt.Errorf("reading go.work: %w", err)
	}
	r.workspace = make(map[string]bool)
	for _, path := range strings.Fields(modules) {
		r.workspace[path] = true
	}
	return nil
}

const temporary = ".hmetrics-rebuild-"

// find returns the Go programs in the bin directory. It follows no symbolic
// link: one that leads to another file there leads to the new one later.
func (r *rebuilder) find() ([]*binary, error) {
	entries, err := os.ReadDir(r.bin)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var binaries []*binary
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
		for _, b := range binaries {
			if os.SameFile(b.file, file) {
				b.names = append(b.names, e.Name())
				continue next
			}
		}
		// go test -c names the package of what it builds with a suffix.
		if build, err := buildinfo.ReadFile(name); err == nil && !strings.HasSuffix(build.Path, ".test") {
			binaries = append(binaries, &binary{names: []string{e.Name()}, file: file, build: build})
		}
	}
	return binaries, nil
}

// program returns the program that a binary is.
func (r *rebuilder) program(b *binary) program.Program {
	root, _ := program.MainModules(r.modules[b.build.Main.Path], "")
	return program.Of(b.build, program.IsVendored("", root))
}

// title returns the names of a program as the user knows them.
func (r *rebuilder) title(b *binary) string {
	dir := ""
	if rel, err := filepath.Rel(r.app, r.bin); err == nil && !strings.HasPrefix(rel, "..") {
		dir = "./" + filepath.ToSlash(rel) + "/"
	}
	return gocmd.Printable(dir + strings.Join(b.names, ", "+dir))
}

// make builds the new program.
func (r *rebuilder) make(b *binary) error {
	if b.build.Path == program.CommandLineArguments {
		return errors.New("it was built from a list of Go files; build its package instead (go build ./DIR)")
	}
	flags, env, err := r.reproduce(b)
	if err != nil {
		return err
	}
	overlay, err := r.overlay(b, gocmd.Getenv(env, "GOFLAGS"))
	if err != nil {
		return err
	}
	b.made = filepath.Join(r.bin, temporary+b.names[0])
	reason := filepath.Join(r.work, stage.ReasonFile)
	os.Remove(reason)
	flags = append([]string{"-toolexec=" + r.toolexec + " -rebuild " + r.work, "-overlay=" + overlay}, flags...)
	// The -toolexec in GOFLAGS has bin/toolexec find one of the user's own.
	goflags := strings.TrimSpace(gocmd.Getenv(env, "GOFLAGS") + " -toolexec=" + r.toolexec)
	if err := r.goBuild(b, b.made, append(env, "GOFLAGS="+goflags), flags); err != nil {
		if text, rerr := os.ReadFile(reason); rerr == nil {
			return errors.New(strings.TrimSpace(string(text)))
		}
		return err
	}
	if v := inspect(b.made); !v.Linked || v.Injection != r.stage.ID() {
		return fmt.Errorf("the agent is not in the rebuilt one (%v)", v)
	}
	return nil
}

// goBuild builds the program that a binary is, in the directory of its module.
func (r *rebuilder) goBuild(b *binary, out string, env, flags []string) error {
	if r.workspace != nil && !r.workspace[b.build.Main.Path] {
		env = gocmd.Setenv(env, "GOWORK=off")
	}
	args := append(append([]string{"build", "-o", out}, flags...), b.build.Path)
	_, err := r.goRun(r.modules[b.build.Main.Path], env, args...)
	return err
}

func (r *rebuilder) goRun(dir string, env []string, args ...string) (string, error) {
	out, err := gocmd.Run(r.gocmd, dir, r.env, env, rebuildTimeout, args...)
	return strings.TrimSpace(out), err
}

// replace gives the new program the old one's owner and mode and puts it in its
// place, each name in one move.
func (r *rebuilder) replace(b *binary) error {
	if err := giveOwner(b.made, b.file); err != nil {
		return err
	}
	if err := os.Chmod(b.made, b.file.Mode()); err != nil {
		return err
	}
	link := b.made + ".link"
	for _, name := range b.names {
		os.Remove(link)
		if err := os.Link(b.made, link); err != nil {
			return err
		}
		if err := os.Rename(link, filepath.Join(r.bin, name)); err != nil {
			os.Remove(link)
			return err
		}
	}
	return nil
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
