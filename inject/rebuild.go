package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/gocmd"
	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/program"
	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/stage"
)

const rebuildTimeout = time.Hour

// A rebuilder builds the programs of an earlier Go buildpack again, with the agent.
type rebuilder struct {
	stage    stage.Stage
	work     string // directory for the work; the caller of the command removes it
	toolexec string // bin/toolexec
	gocmd    string
	app      string
	env      []string // that of the Go buildpack
	require  bool     // HMETRICS_INJECT
	log      io.Writer

	patterns  []string          // HMETRICS_PACKAGES
	modules   map[string]string // the directory of each module of the app
	workspace map[string]bool   // the modules of its go.work; nil: it has none

	found, rebuilt, kept, had int // programs of the app; rebuilt; kept without the agent; with the agent already
}

// errRequire ends a build in which not every program can have the agent.
var errRequire = errors.New("no program was changed")

// rebuild rebuilds the app's programs below directories. It prints lines of a build log, and
// leaves the figures for bin/report in the file result of the work directory. A program that
// cannot be rebuilt stays unchanged. Under HMETRICS_INJECT=require that is an error, and all
// programs stay unchanged.
func rebuild(args []string) error {
	r := rebuilder{env: os.Environ(), log: os.Stdout}
	var dir, inject, envDir, goBuildpack string
	flags := flag.NewFlagSet("inject rebuild", flag.ContinueOnError)
	flags.StringVar(&dir, "stage", "", "`directory` of the stage")
	flags.StringVar(&r.work, "work", "", "`directory` for the work")
	flags.StringVar(&r.toolexec, "toolexec", "", "bin/toolexec")
	flags.StringVar(&r.gocmd, "go", "", "go `command` that built the programs")
	flags.StringVar(&inject, "inject", "auto", "HMETRICS_INJECT")
	flags.StringVar(&envDir, "env-dir", "", "`directory` with a file for each config var")
	flags.StringVar(&goBuildpack, "go-cache", "", "`directory` in which heroku/go, or a fork of it, keeps Go; empty: a Cloud Native Buildpack built the programs")
	if err := flags.Parse(args); err != nil || flags.NArg() == 0 {
		return usageError("usage: see go doc ./inject\n")
	}
	r.require, r.app = inject == "require", flags.Arg(0)
	var err error
	if r.stage, err = stage.Open(dir); err != nil {
		return err
	}
	none := "No program of the app is in " + strings.Join(flags.Args(), " ") + ": there is nothing to link the metrics agent into."
	first := "put this buildpack before your Go buildpack in project.toml."
	if goBuildpack != "" {
		os.Unsetenv("GIT_DIR") // as heroku/go does
		r.env = r.herokuGoEnv(os.Environ(), envDir, goBuildpack)
		none = "The Go buildpack came before this one, but the app has no program."
		url := "https://" + program.Module
		first = "put this buildpack first:\n       heroku buildpacks:remove " + url + " && heroku buildpacks:add --index 1 " + url
	}
	// With the user's own GOFLAGS, only the last position works everywhere.
	if envDir != "" && exists(filepath.Join(envDir, "GOFLAGS")) {
		first = ""
	}
	start := time.Now()
	err = r.run(flags.Args())
	seconds := time.Since(start).Seconds()
	failed := r.conclude(err, seconds, none, first)
	result := fmt.Sprintf("rebuilt=%d\nkept=%d\nrebuild_seconds=%.1f\n", r.rebuilt, r.kept, seconds)
	if err := os.WriteFile(filepath.Join(r.work, "result"), []byte(result), 0o666); err != nil {
		return err
	}
	if failed && r.require {
		return exitStatus(1)
	}
	return nil
}

// conclude prints how a rebuild ended: with none if the app has no program. It prints first,
// which says how to avoid a rebuild.
func (r *rebuilder) conclude(err error, seconds float64, none, first string) (failed bool) {
	if err == nil && r.found == 0 {
		r.logf(" !     %s", gocmd.Printable(none))
		return true
	}
	if err == nil && r.require && r.rebuilt+r.had == 0 {
		r.logf(" !     No program of the app gets the metrics agent.")
		err = errRequire
	}
	switch {
	case err == errRequire:
		r.logf(" !     No program was changed.")
	case err != nil:
		r.logf(" !     Rebuilding with the metrics agent failed: %s", gocmd.Printable(err.Error()))
	case r.rebuilt > 0:
		r.logf("       Programs that got the metrics agent: %d, in %.1f s.", r.rebuilt, seconds)
	}
	switch {
	case first == "":
	case r.kept > 0:
		r.logf(" !     The Go buildpack can link the agent itself: %s", first)
	case r.rebuilt > 0:
		r.logf("       Each program was built twice. To have it built once, %s", first)
	}
	return err != nil
}

func (r *rebuilder) logf(format string, args ...interface{}) {
	fmt.Fprintf(r.log, format+"\n", args...)
}

// run rebuilds the programs below directories.
func (r *rebuilder) run(dirs []string) (err error) {
	if r.patterns, err = r.stage.Patterns(); err != nil {
		return err
	}
	binaries := r.find(dirs)
	if len(binaries) == 0 {
		return nil
	}
	if err := r.readApp(); err != nil {
		return err
	}
	var made []*binary
	for _, b := range binaries {
		p := r.program(b)
		if !r.owns(p) {
			continue
		}
		if r.found++; r.found == 1 {
			r.logf("-----> Rebuilding with Go runtime metrics")
			if err := program.Unmatched(r.patterns, []string{r.app}); err != nil {
				r.logf(" !     %s", gocmd.Printable(err.Error()))
				if r.require {
					return errRequire
				}
			}
		}
		start := time.Now()
		switch why := r.rebuildProgram(b, p); {
		case why == errLinked:
			r.had++
			r.logf("       %s has the metrics agent", r.title(b))
		case why == nil:
			made = append(made, b)
			r.logf("       %s (%.1f s)", r.title(b), time.Since(start).Seconds())
			if !r.require {
				if err := r.replace(made[len(made)-1:]); err != nil {
					return err
				}
			}
		default:
			r.logKept(b, why)
		}
	}
	if r.require && r.kept == 0 {
		if err := r.replace(made); err != nil {
			return err
		}
	}
	if r.require && r.kept > 0 {
		return errRequire
	}
	return nil
}

// replace puts new programs in place: all of them, or none, and prints why.
func (r *rebuilder) replace(made []*binary) error {
	var swaps []swap
	for _, b := range made {
		for i, name := range b.names {
			swaps = append(swaps, swap{name: name, file: b.files[i], made: b.made})
		}
	}
	switch whole, err := putInPlace(swaps); {
	case !whole:
		return err
	case err != nil:
		r.logKept(made[0], err)
	default:
		r.rebuilt += len(made)
	}
	return nil
}

// logKept prints why a program stays unchanged.
func (r *rebuilder) logKept(b *binary, why error) {
	if _, ok := why.(program.Ineligible); ok {
		r.logf("       %s stays as it is: %v", r.title(b), why)
		return
	}
	r.kept++
	r.logf(" !     %s stays as it was, without the metrics agent: %s", r.title(b), gocmd.Printable(why.Error()))
}

// owns reports whether a program is the app's. If a Go buildpack removed the sources, the
// program's module does not show that.
func (r *rebuilder) owns(p program.Program) bool {
	return p.Own && (len(r.modules) == 0 || r.modules[p.Module] != "" || p.Path == program.CommandLineArguments && p.Module == "")
}

// readApp finds the modules in the app's directory.
func (r *rebuilder) readApp() error {
	r.modules = make(map[string]string)
	program.Walk(r.app, func(name string) {
		if b, err := os.ReadFile(name); filepath.Base(name) == "go.mod" && err == nil {
			r.modules[program.ModulePath(string(b))] = filepath.Dir(name)
		}
	})
	// If GOFLAGS is broken, each program's line says so.
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

// program returns the program of a binary.
func (r *rebuilder) program(b *binary) program.Program {
	root, _ := program.MainModules(r.modules[b.build.Main.Path], "")
	return program.Of(b.build, program.IsVendored("", root))
}

// errLinked is the reason not to rebuild a program that has the agent.
var errLinked = errors.New("it has the metrics agent")

// rebuildProgram builds the new program with the command that reproduces the old one.
func (r *rebuilder) rebuildProgram(b *binary, p program.Program) error {
	if err := p.Eligible(program.Setting(b.build, "GOOS"), program.Setting(b.build, "-buildmode"), r.patterns); err != nil {
		return err
	}
	switch {
	case inspect(b.names[0]).Linked:
		return errLinked
	case b.build.Path == program.CommandLineArguments:
		return errors.New("it was built from a list of Go files; build its package instead (go build ./DIR)")
	case r.modules[p.Module] == "":
		return errors.New("its sources are no longer in the app's directory")
	}
	c, err := r.reproduce(b)
	if err != nil {
		return err
	}
	if err := r.hideMain(c); err != nil {
		return err
	}
	reason := filepath.Join(r.work, stage.ReasonFile)
	os.Remove(reason)
	// This is the only difference from the command that reproduces the old program.
	c.goflags = strings.TrimSpace(c.goflags + " -toolexec=" + r.toolexec)
	made, err := r.goBuild(c)
	if text, rerr := os.ReadFile(reason); rerr == nil {
		return errors.New(strings.TrimSpace(string(text)))
	}
	if err != nil {
		return err
	}
	b.made = filepath.Join(r.work, fmt.Sprint("made-", r.found))
	if err := os.Rename(made, b.made); err != nil {
		return err
	}
	if v := inspect(b.made); !v.Linked || v.Injection != r.stage.ID() {
		return fmt.Errorf("the rebuilt program lacks the agent (%v)", v)
	}
	if err := compare(b.names[0], b.made); err != nil {
		return fmt.Errorf("the rebuilt program differs by more than the agent: %w", err)
	}
	return nil
}

func (r *rebuilder) goRun(dir string, env []string, args ...string) (string, error) {
	out, err := gocmd.Run(r.gocmd, dir, r.env, env, rebuildTimeout, args...)
	return strings.TrimSpace(out), err
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
