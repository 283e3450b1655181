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
	"syscall"
)

// A linkStep is one call of the linker by a go command. Here all that decides is
// known: the program, its packages, the flags it is built with, the settings.
//
// The import config that it comes with has the hook (see hookPath), with which the
// program is linked as if nothing had been added.
type linkStep struct {
	builder
	config  string   // file name of the import config
	program []string // the linker and its arguments, after the user's own -toolexec
	require bool     // HMETRICS_INJECT
}

// reasonFile, in the directory of inject rebuild, holds why a program could not get
// the agent.
const reasonFile = "reason"

// A failure before which the step that compiled the main package has told it.
var errAlreadyPrinted = errors.New("the step that compiled the main package has said why")

// link runs a link step. What keeps the agent out of a program must not break the
// build: the program is linked without it, the reason is said, and the next build
// tries again. Under HMETRICS_INJECT=require the step fails.
func link(args []string) (err error) {
	build, args, err := readBuilder(args)
	if err != nil {
		return err
	}
	s := linkStep{
		builder: build,
		config:  value(args, "-importcfg"),
		require: strings.TrimSpace(os.Getenv("HMETRICS_INJECT")) == "require",
	}
	if hooked := s.config + ".hmetrics"; exists(hooked) {
		s.config, args = hooked, replace(args, "-importcfg", hooked)
	}
	s.program = append(append(strings.Fields(build.chain), build.tool), args...)
	defer func() {
		if p := recover(); p != nil {
			err = s.without(importPath(), fmt.Errorf("the injector panicked: %v", p))
		}
	}()
	b, err := os.ReadFile(s.config)
	if err != nil {
		return err
	}
	cfg := parseImportConfig(string(b))
	info := cfg.buildInfo()
	flags, err := s.flags()
	if err != nil {
		return s.without(importPath(), err)
	}
	p := programOf(info, vendored(flags))
	if !p.own || value(args, "-buildmode") == "shared" {
		return s.exec(s.program)
	}
	if p.path == commandLineArguments && len(flags.files) > 0 {
		p = programIn(filepath.Dir(absolute(flags.files[0], flags.dir)))
	}
	patterns, err := s.stage.patterns()
	if err != nil {
		return s.without(p.path, err)
	}
	if err := unmatched(patterns, appRoot(flags.dir)); err != nil && s.rebuild == "" {
		if s.require {
			return s.without(p.path, err)
		}
		fmt.Fprintln(os.Stderr, "hmetrics:", printable(err.Error()))
	}
	if err := p.eligible(os.Getenv("GOOS"), value(args, "-buildmode"), patterns); err != nil {
		return s.without(p.path, err)
	}
	agent, err := s.agentFor(&cfg, info, flags, p)
	if err != nil {
		return s.without(p.path, err)
	}
	return s.with(p.path, agent, cfg)
}

// agentFor adds the agent to the program's import config, in the place of the
// hook, and returns what has been added.
func (s linkStep) agentFor(cfg *importConfig, info *debug.BuildInfo, flags buildFlags, p program) (agent, error) {
	hook := cfg.archives[hookPath]
	if hook != "" && filepath.Base(hook) != "hmetrics.hook.a" {
		return agent{}, errImportPathTaken(hookPath)
	}
	main, err := os.ReadFile(s.program[len(s.program)-1])
	if err != nil {
		return agent{}, err
	}
	if !bytes.Contains(main, []byte(hookPath)) {
		return agent{}, s.unhooked()
	}
	pgo := setting(info, "-pgo")
	if pgo != "" && !filepath.IsAbs(pgo) {
		// Under -trimpath the build information holds the base name.
		dir, err := s.packageDir(flags, p)
		if err != nil {
			return agent{}, err
		}
		if pgo = flags.last("pgo"); pgo == "" || pgo == "auto" {
			pgo = filepath.Join(dir, "default.pgo")
		}
	}
	// Of the agent's packages only net uses cgo, and is to do so only where the
	// program's does: another one may be meant for a place without C libraries. The
	// sanitizers need cgo.
	cgo := cfg.archives["runtime/cgo"] != "" && (cfg.archives["net"] != "" || flags.sanitizes())
	a, err := s.agent(flags, pgo, cgo, cfg)
	if err != nil {
		return agent{}, err
	}
	archive, err := compileAgentHook(s.compiler(), hook, a.archives[shadedOnload])
	if err != nil {
		return agent{}, err
	}
	cfg.set(hookPath, archive)
	for _, path := range sortedKeys(a.archives) {
		if cfg.archives[path] == "" {
			cfg.set(path, a.archives[path])
		}
	}
	return a, nil
}

// unhooked returns the reason for which a main package was compiled without the hook.
func (s linkStep) unhooked() error {
	// As in bin/toolexec.
	version, _ := os.ReadFile(filepath.Join(s.goroot(), "VERSION"))
	minor := 0
	if n, _ := fmt.Sscanf(string(version), "go1.%d", &minor); n == 1 && minor < 18 {
		return fmt.Errorf("%s is too old, Go 1.18 is the oldest that works: raise the go line in go.mod", strings.Fields(string(version))[0])
	}
	if contains(s.program, "-linkshared") {
		return errors.New("-linkshared takes the standard library from a file that was built without it: build without -linkshared")
	}
	// The build ID of a new archive is its action ID twice. That of one which is not
	// to be cached lacks a character.
	id, err := buildID(s.program[len(s.program)-1])
	if i := strings.IndexByte(id, '/'); err == nil && i > 0 && contentID(id)[1:] == id[:i] {
		return errAlreadyPrinted
	}
	return errors.New("its main package was compiled without the hook: build again with an empty build cache (go clean -cache)")
}

// packageDir asks the go command for the directory of the program.
func (s linkStep) packageDir(flags buildFlags, p program) (string, error) {
	if len(flags.files) > 0 {
		return filepath.Dir(absolute(flags.files[0], flags.dir)), nil
	}
	args := append([]string{"list", "-find", "-f", "{{.Dir}}"}, flags.used(choosesModules)...)
	out, err := s.goCommand(flags.dir, []string{"GOFLAGS=-buildvcs=false"}, fetchTimeout, append(args, p.path)...)
	return strings.TrimSpace(out), err
}

// with links the program with the agent. Should the linker refuse it, the program
// is linked without: a Go release that this buildpack does not know may have its
// reasons. If the linker refuses that too, the reason is the app's own.
func (s linkStep) with(path string, a agent, cfg importConfig) error {
	settings := []string{injectionSetting + "=" + s.stage.id()}
	flags, off := "", ""
	for _, d := range destinations {
		reporter := cfg.first(d.reporters)
		if reporter != "" {
			settings = append(settings, d.setting+"="+reporter)
			off += d.quiet(reporter)
		}
		flags += " -X=" + shadedRoot + "/agent/internal/start." + d.variable + "=" + reporter
	}
	cfg.describe(a.modules, settings)
	name := s.config + ".agent"
	if err := os.WriteFile(name, []byte(cfg.String()), 0o666); err != nil {
		return s.without(path, err)
	}
	args := replace(s.program, "-importcfg", name)
	last := len(args) - 1
	args = append(append(append([]string{}, args[:last]...), strings.Fields(flags)...), args[last])
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err == nil {
		os.Stderr.Write(out)
		fmt.Fprintf(os.Stderr, "hmetrics: agent %s linked into %s%s\n", a.version(), path, off)
		return nil
	}
	stub, stubErr := exec.Command(s.program[0], uncached(s.program)[1:]...).CombinedOutput()
	if stubErr != nil {
		os.Stderr.Write(stub)
		return exitStatus(1)
	}
	os.Stderr.Write(stub)
	return s.say(path, fmt.Errorf("the linker refuses it: %s", oneLine(string(out)+"\n"+err.Error())))
}

// without links the program without the agent, after saying why. Tests, tools and
// other programs that are not the app's own do not come here.
func (s linkStep) without(path string, reason error) error {
	program := s.program
	if _, ok := reason.(ineligible); !ok {
		program = uncached(program)
	}
	if err := s.say(path, reason); err != nil {
		return err
	}
	return s.exec(program)
}

// say says for which reason a program is without the agent, and returns an error
// if the step is to fail for it.
func (s linkStep) say(path string, reason error) error {
	if reason == errAlreadyPrinted {
		return nil
	}
	text := printable(reason.Error())
	if s.rebuild != "" {
		// The program that is being rebuilt stays what it was.
		os.WriteFile(filepath.Join(s.rebuild, reasonFile), []byte(text), 0o666)
		return exitStatus(1)
	}
	if _, ok := reason.(ineligible); !ok && s.require {
		return fmt.Errorf("hmetrics: HMETRICS_INJECT is require, and the metrics agent cannot be linked into %s: %s", path, text)
	}
	fmt.Fprintf(os.Stderr, "hmetrics: the metrics agent is not linked into %s: %s\n", path, text)
	return nil
}

func (s linkStep) exec(argv []string) error {
	program, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	return syscall.Exec(program, argv, os.Environ())
}

// uncached returns arguments of the linker with a build ID that has lost its first
// character: the go command caches nothing whose build ID is not the one that it gave,
// and links it anew in the next build (updateBuildID in
// cmd/go/internal/work/buildid.go).
func uncached(args []string) []string {
	id := value(args, "-buildid")
	if id == "" {
		return args
	}
	return replace(args, "-buildid", id[1:])
}

// importPath returns the import path of the step's package.
func importPath() string {
	// "path [variant]" for some.
	return strings.SplitN(os.Getenv("TOOLEXEC_IMPORTPATH"), " ", 2)[0]
}

// value returns the value of a flag that stands as "-name value" or
// "-name=value".
func value(args []string, name string) string {
	for i, arg := range args {
		if arg == name && i+1 < len(args) {
			return args[i+1]
		}
		if strings.HasPrefix(arg, name+"=") {
			return arg[len(name)+1:]
		}
	}
	return ""
}

// replace returns args with another value for a flag that is there.
func replace(args []string, name, value string) []string {
	out := append([]string{}, args...)
	for i, arg := range out {
		switch {
		case arg == name && i+1 < len(out):
			out[i+1] = value
			return out
		case strings.HasPrefix(arg, name+"="):
			out[i] = name + "=" + value
			return out
		}
	}
	return out
}
