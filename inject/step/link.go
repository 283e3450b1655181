package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/gocmd"
	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/program"
	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/stage"
)

// link runs the link step of a program. Only this step knows everything that the decision
// depends on: the program, its packages, its build flags, the settings. If the agent cannot
// be linked, the build must not break: link links the program without it, prints the reason,
// and the next build tries again. Under HMETRICS_INJECT=require, the step fails.
func (s step) link() (err error) {
	text, err := os.ReadFile(value(s.args, "-importcfg"))
	if err != nil {
		return s.exec(s.args)
	}
	packages := parseImportConfig(string(text))
	// Tests have no agent.
	if packages.archives["testing/internal/testdeps"] != "" {
		return s.exec(s.args)
	}
	path := importPath()
	defer func() {
		if p := recover(); p != nil {
			err = s.runWithoutAgent(path, fmt.Errorf("the injector panicked: %v", p))
		}
	}()
	if err := s.ensureHook(&packages); err != nil {
		return s.runWithoutAgent(path, err)
	}
	info := packages.buildInfo()
	flags, err := s.flags()
	if err != nil {
		return s.runWithoutAgent(path, err)
	}
	// The go command may repeat what a rebuild prints, for the old program.
	s.quiet = flags.Command == "run" || s.rebuild != ""
	file, modules := program.MainModules(flags.Dir, gocmd.Setting("GOWORK"))
	p := program.Of(info, program.IsVendored(flags.Last("mod"), file))
	if !p.Own || value(s.args, "-buildmode") == "shared" {
		return s.exec(s.args)
	}
	if p.Path == program.CommandLineArguments && len(flags.Files) > 0 {
		p = program.In(filepath.Dir(gocmd.Absolute(flags.Files[0], flags.Dir)))
	}
	patterns, err := s.stage.Patterns()
	if err != nil {
		return s.runWithoutAgent(p.Path, err)
	}
	if err := program.Unmatched(patterns, modules); err != nil && s.rebuild == "" {
		if s.require {
			return s.runWithoutAgent(p.Path, err)
		}
		s.note = "; " + err.Error()
	}
	if err := p.Eligible(os.Getenv("GOOS"), value(s.args, "-buildmode"), patterns); err != nil {
		return s.runWithoutAgent(p.Path, err)
	}
	agent, err := s.addAgent(&packages, info, flags, p)
	if err != nil {
		return s.runWithoutAgent(p.Path, err)
	}
	return s.runWithAgent(p.Path, agent, packages)
}

// ensureHook adds the hook to the packages of the link. The linker ignores packages that
// nothing imports, so the hook does not affect a program that was compiled without it.
func (s *step) ensureHook(packages *importConfig) error {
	if packages.archives[hookPath] != "" {
		packages.ownHook = true
		return nil
	}
	hook, err := s.hook(isShared(s.args))
	if err != nil {
		return err
	}
	packages.set(hookPath, hook)
	config := value(s.args, "-importcfg") + ".hmetrics"
	if err := os.WriteFile(config, []byte(packages.String()), 0o666); err != nil {
		return err
	}
	s.args = replace(s.args, "-importcfg", config)
	return nil
}

// addAgent replaces the hook in the program's packages with the agent, and returns the agent.
func (s step) addAgent(packages *importConfig, info *debug.BuildInfo, flags gocmd.Flags, p program.Program) (agent, error) {
	if packages.ownHook {
		return agent{}, errImportPathTaken(hookPath)
	}
	main, err := os.ReadFile(s.args[len(s.args)-1])
	if err != nil {
		return agent{}, err
	}
	if !bytes.Contains(main, []byte(hookPath)) {
		if contains(s.args, "-linkshared") {
			return agent{}, errors.New("-linkshared takes the standard library from a file that was built without the agent: build without -linkshared")
		}
		return agent{}, errors.New("its main package was compiled without the hook: build again, if necessary with an empty build cache (go clean -cache)")
	}
	pgo := program.Setting(info, "-pgo")
	if pgo != "" && !filepath.IsAbs(pgo) {
		// Under -trimpath, the build information has only the base name.
		dir, err := s.packageDir(flags, p)
		if err != nil {
			return agent{}, err
		}
		if pgo = flags.Last("pgo"); pgo == "" || pgo == "auto" {
			pgo = filepath.Join(dir, "default.pgo")
		}
	}
	a, err := s.agent(flags, pgo, packages)
	if err != nil {
		return agent{}, err
	}
	hook, err := s.agentHook(packages.archives[hookPath], a.archives[shadedStart])
	if err != nil {
		return agent{}, err
	}
	packages.set(hookPath, hook)
	for _, path := range sortedKeys(a.archives) {
		if packages.archives[path] == "" {
			packages.set(path, a.archives[path])
		}
	}
	return a, nil
}

// usesCgo reports whether the agent's packages are compiled with cgo. Only net uses it, and
// only if the program's own net does: other programs may have to run without C libraries. A
// program that opens plugins must share net with them, and the sanitizers need cgo.
func usesCgo(packages *importConfig, flags gocmd.Flags) bool {
	has := func(path string) bool { return packages.archives[path] != "" }
	return has("runtime/cgo") && (has("net") || has("plugin") || flags.Sanitizes())
}

// packageDir returns the directory of the program.
func (s step) packageDir(flags gocmd.Flags, p program.Program) (string, error) {
	if len(flags.Files) > 0 {
		return filepath.Dir(gocmd.Absolute(flags.Files[0], flags.Dir)), nil
	}
	args := append([]string{"list", "-find", "-f", "{{.Dir}}"}, flags.Modules()...)
	out, err := s.runGo(flags.Dir, []string{"GOFLAGS=-buildvcs=false"}, fetchTimeout, append(args, p.Path)...)
	return strings.TrimSpace(out), err
}

// runWithAgent links the program with the agent. If the linker refuses it, which a Go release
// newer than this buildpack may do, it links the program without the agent. If the linker
// refuses that too, the cause is in the app.
func (s step) runWithAgent(path string, a agent, packages importConfig) error {
	settings := []string{program.InjectionSetting + "=" + s.stage.ID()}
	var flags []string
	off := ""
	for _, d := range program.Destinations {
		reporter := packages.first(d.Reporters)
		if reporter != "" {
			settings = append(settings, d.Setting+"="+reporter)
			off += d.Quiet(reporter)
		}
		flags = append(flags, "-X="+shadedStart+"."+d.Variable+"="+reporter)
	}
	packages.describe(a.modules, settings)
	config := value(s.args, "-importcfg") + ".agent"
	if err := os.WriteFile(config, []byte(packages.String()), 0o666); err != nil {
		return s.runWithoutAgent(path, err)
	}
	last := len(s.args) - 1
	args := append(append(replace(s.args[:last], "-importcfg", config), flags...), s.args[last])
	out, err := s.run(args)
	if err == nil || isKilled(err) {
		os.Stderr.Write(out)
		if err == nil {
			s.printLine("agent %s linked into %s%s", a.version(), path, off)
		}
		return err
	}
	reason := fmt.Errorf("the linker refuses it: %s", gocmd.Problem(string(out)+"\n"+err.Error()))
	if s.require || s.rebuild != "" {
		// If the linker refuses the app too, its own messages say so.
		if without, err := s.run(s.args); err != nil {
			os.Stderr.Write(without)
			return err
		}
	}
	return s.runWithoutAgent(path, reason)
}

// run runs the tool and returns what it prints.
func (s step) run(args []string) ([]byte, error) {
	command := s.command(args)
	return exec.Command(command[0], command[1:]...).CombinedOutput()
}

// runWithoutAgent runs the step without the agent, and prints why. It is not called for
// tests, tools and other programs that are not the app's own. If the link fails, only the
// linker's own messages are printed.
func (s step) runWithoutAgent(path string, reason error) error {
	if filepath.Base(s.tool) == "compile" { // the link step says so
		return s.exec(uncached(s.args))
	}
	text := gocmd.Printable(reason.Error())
	if s.rebuild != "" {
		// The program that is being rebuilt stays unchanged.
		os.WriteFile(filepath.Join(s.rebuild, stage.ReasonFile), []byte(text), 0o666)
		return errors.New(text)
	}
	args := s.args
	if _, ok := reason.(program.Ineligible); !ok {
		if s.require {
			return fmt.Errorf("hmetrics: HMETRICS_INJECT is require, and the metrics agent cannot be linked into %s: %s", path, text)
		}
		args = uncached(args)
	}
	out, err := s.run(args)
	os.Stderr.Write(out)
	if err == nil {
		s.printLine("the metrics agent is not linked into %s: %s", path, text)
	}
	return err
}

// printLine prints a program's line in the output of the go command, except for go run: its
// output may be written to a file.
func (s step) printLine(format string, args ...interface{}) {
	if !s.quiet {
		fmt.Fprintln(os.Stderr, "hmetrics:", gocmd.Printable(fmt.Sprintf(format, args...)+s.note))
	}
}
