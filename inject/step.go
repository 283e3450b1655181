package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// A step is one call of the compiler or the linker by a go command.
type step struct {
	stage  stage
	parent goCommand
	dir    string // working directory
	env    []string
	lost   error // why stage or parent is not known
}

// run runs the step. A step that cannot get the agent must not break the
// build: it goes without, says why, and leaves a result that is not cached.
func (s step) run(tool string, args []string) error {
	var err error
	injected := args
	linking := filepath.Base(tool) == "link"
	if linking {
		injected, err = s.link(args)
	} else {
		injected, err = s.compile(args)
	}
	explain(s.env, s.parent.pid, filepath.Base(tool)+" "+s.importPath(), err)
	if _, ok := err.(notMeant); ok {
		injected, err = args, nil
	}
	if err != nil {
		err = fmt.Errorf("hmetrics: the metrics agent is not linked into %s: %w", s.importPath(), err)
		if getenv(s.env, "HMETRICS_INJECT") == "require" {
			return err
		}
		fmt.Fprintln(os.Stderr, err)
		if linking {
			return s.linkPlain(args)
		}
		injected = replace(args, "-buildid", uncachedID)
	}
	// A -toolexec of the user's own comes between us and the tool.
	argv := append(strings.Fields(getenv(s.env, "HMETRICS_CHAIN")), tool)
	program, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	return syscall.Exec(program, append(argv, injected...), s.env)
}

// compile returns the compiler's arguments with the agent's import added, or
// notMeant where they are not those of a main package of the app.
func (s step) compile(args []string) ([]string, error) {
	if strings.HasPrefix(value(args, "-p"), shadedRoot+"/") {
		// Stack traces and profiles show the import path, not the stage, and
		// the archives do not depend on where the stage lies. DWARF is for
		// debugging the agent, which is not what the app's binary is there for.
		args = replace(args, "-trimpath", s.stage.path("shaded")+"=>"+shadedRoot+";"+value(args, "-trimpath"))
		return replace(args, "-dwarf", "false"), nil
	}
	d, err := s.decision()
	if err != nil {
		return nil, err
	}
	main, err := s.mainPackage(d, args)
	if err != nil {
		return nil, err
	}
	patterns, err := s.stage.patterns()
	if err != nil {
		return nil, err
	}
	if !main.selected(patterns) {
		return nil, notMeant("HMETRICS_PACKAGES does not select it")
	}

	file := ""
	args, err = editConfig(args, func(cfg *importConfig, dir string) error {
		profile := ""
		if value(args, "-pgoprofile") != "" {
			profile = d.profile(main.dir)
		}
		l, err := s.listing(d, profile, *cfg)
		if err != nil {
			return err
		}
		cfg.add(shadedOnload, l.archives[shadedOnload])
		file = filepath.Join(dir, "hmetrics.go")
		return os.WriteFile(file, []byte("package main\n\nimport _ \""+shadedOnload+"\"\n"), 0o666)
	})
	return append(args, file), err
}

// editConfig returns args with another import config, which edit makes of the
// one that they name. Beside it, in dir, is room for what the step needs: the
// directory is the step's own, and the go command removes it.
func editConfig(args []string, edit func(cfg *importConfig, dir string) error) ([]string, error) {
	name := value(args, "-importcfg")
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	cfg := parseImportConfig(string(b))
	if err := edit(&cfg, filepath.Dir(name)); err != nil {
		return nil, err
	}
	name += ".hmetrics"
	return replace(args, "-importcfg", name), os.WriteFile(name, []byte(cfg.String()), 0o666)
}

// decision returns what the preflight found for the go command, or notMeant if
// it did not find that the agent can be linked.
func (s step) decision() (decision, error) {
	if s.lost != nil {
		return decision{}, s.lost
	}
	d, err := s.stage.decision(s.parent)
	switch {
	case err == nil && d.Linked:
		return d, nil
	case err == nil:
		return d, notMeant("the preflight found against it")
	}
	return d, fmt.Errorf("reading what the preflight found: %w", err)
}

// mainPackage returns the package that the arguments compile, or notMeant if it
// is no main package of the app's own.
func (s step) mainPackage(d decision, args []string) (mainPackage, error) {
	work := filepath.Dir(value(args, "-importcfg"))
	dir := ""
	for _, arg := range args {
		if !strings.HasSuffix(arg, ".go") || strings.HasPrefix(arg, "-") {
			continue
		}
		// _testmain.go, or _testmain.cover.go under -coverpkg.
		if strings.HasPrefix(filepath.Base(arg), "_testmain.") {
			return mainPackage{}, notMeant("it is the driver of a test")
		}
		if !filepath.IsAbs(arg) {
			arg = filepath.Join(s.dir, arg)
		}
		if !within(arg, work) {
			dir = filepath.Dir(arg)
			break
		}
	}
	if dir == "" {
		// Every file is generated, by cgo or for coverage.
		var err error
		if dir, err = s.packageDir(d); err != nil {
			return mainPackage{}, err
		}
	}
	p := locate(dir, s.importPath())
	switch {
	case within(dir, toolchain{compiler: d.Compiler}.goroot()):
		return p, notMeant("it belongs to the Go installation")
	case within(dir, d.ModCache):
		return p, notMeant("it is in the module cache")
	case p.vendored():
		return p, notMeant("it is vendored")
	}
	return p, nil
}

// uncachedID takes the place of the build ID that the go command gives to what
// it is to make anew next time: it caches nothing that has another one
// (updateBuildID in cmd/go/internal/work/buildid.go).
const uncachedID = "hmetrics/uncached"

// commandLineArguments is the import path of a package that was named by its
// files.
const commandLineArguments = "command-line-arguments"

// importPath returns the import path of the step's package.
func (s step) importPath() string {
	// "path [variant]" for some.
	return strings.SplitN(getenv(s.env, "TOOLEXEC_IMPORTPATH"), " ", 2)[0]
}

// packageDir asks the go command for the directory of the step's package.
func (s step) packageDir(d decision) (string, error) {
	if s.importPath() == commandLineArguments && len(d.Flags.Files) > 0 {
		dir := filepath.Dir(d.Flags.Files[0])
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(d.Flags.Dir, dir)
		}
		return dir, nil
	}
	return d.listApp(s.env, d.Flags.Dir, "{{.Dir}}", s.importPath())
}

// profile returns the PGO profile of a main package in dir that has one.
func (d decision) profile(dir string) string {
	if p := d.Flags.PGO; p != "" && p != "auto" {
		return p
	}
	return filepath.Join(dir, "default.pgo")
}

// listing returns the agent's archives for a main package compiled with the
// profile, "" for none, after checking that the app's archives are like them.
func (s step) listing(d decision, profile string, app importConfig) (importConfig, error) {
	flags := d.Flags.Archive
	if profile != "" {
		flags = append(append([]string{}, flags...), "-pgo="+profile)
	}
	g := d.goTool(s.env)
	path := ""
	// A second look asks the go command again: the C compiler, say, may have
	// changed since it was asked last.
	for _, fresh := range []bool{false, true} {
		l, err := s.stage.list(g, flags, fresh)
		if err != nil {
			return importConfig{}, err
		}
		if path, err = l.conflict(app); err != nil {
			return importConfig{}, err
		}
		if path == "" {
			return l, nil
		}
	}
	if strings.HasPrefix(path, shadedRoot+"/") {
		return importConfig{}, fmt.Errorf("the app has a package %s, an import path that the agent needs: rename the app's module", path)
	}
	return importConfig{}, fmt.Errorf("this build compiles %s otherwise than the same flags (%s) do for the agent", path, strings.Join(flags, " "))
}

// reporters are packages that report to Heroku themselves. Two reporters in
// one process would count everything twice.
var reporters = []string{
	"github.com/heroku/x/hmetrics",
	"go.pennock.tech/hmetrics",
	buildpackModule + "/agent",
}

const (
	buildpackModule = "github.com/hmetrics/heroku-buildpack-go-metrics"

	// Keys of the build information's settings: the injection ID, and the
	// package for whose sake the agent is off.
	injectionSetting = "hmetrics.injection"
	offSetting       = "hmetrics.off"
)

// reporter returns the package in the binary that reports by itself, or "".
func (c *importConfig) reporter() string {
	for _, path := range reporters {
		if c.archives[path] != "" {
			return path
		}
	}
	return ""
}

// link returns the linker's arguments with the agent's archives added, or
// notMeant where the main package does not import it.
func (s step) link(args []string) ([]string, error) {
	if mode := value(args, "-buildmode"); !executable(mode) {
		// The last argument of -buildmode=shared is not even a file.
		return nil, notMeant("-buildmode is " + mode)
	}
	main := args[len(args)-1]
	if id, err := buildID(main); err == nil && id == uncachedID {
		// Nor is the binary to be up to date for the next build.
		return replace(args, "-buildid", uncachedID), nil
	}
	if ours, err := mentions(main, shadedOnload); err != nil {
		return nil, err
	} else if !ours {
		return nil, notMeant("its main package has not got the agent")
	}
	d, err := s.decision()
	if err != nil {
		return nil, err
	}
	reporter := ""
	args, err = editConfig(args, func(cfg *importConfig, _ string) error {
		profile := cfg.buildSetting("-pgo")
		if profile != "" && !filepath.IsAbs(profile) {
			// Under -trimpath the build information holds the base name.
			dir, err := s.packageDir(d)
			if err != nil {
				return err
			}
			profile = d.profile(dir)
		}
		l, err := s.listing(d, profile, *cfg)
		if err != nil {
			return err
		}
		modules, err := s.stage.modules()
		if err != nil {
			return err
		}
		settings := []string{injectionSetting + "=" + s.stage.id()}
		if reporter = cfg.reporter(); reporter != "" {
			settings = append(settings, offSetting+"="+reporter)
		}
		for _, path := range sortedKeys(l.archives) {
			if cfg.archives[path] == "" {
				cfg.add(path, l.archives[path])
			}
		}
		cfg.describe(modules, settings)
		return nil
	})
	if err == nil && reporter != "" {
		args = append([]string{"-X=" + shadedOnload + ".otherReporter=" + reporter}, args...)
	}
	return args, err
}

// linkPlain links the same binary without the agent: the main package at hand
// imports it, so the go command starts over with injection off.
func (s step) linkPlain(args []string) error {
	d, err := s.stage.decision(s.parent)
	if err != nil {
		return err
	}
	build := append([]string{"build"}, d.Flags.Build...)
	build = append(build, "-o", value(args, "-o"))
	if s.importPath() == commandLineArguments {
		build = append(build, d.Flags.Files...)
	} else {
		build = append(build, s.importPath())
	}
	_, err = d.goTool(s.env).run(context.Background(), d.Flags.Dir, []string{"HMETRICS_INJECT=off"}, build...)
	return err
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

// replace returns args with another value for a flag.
func replace(args []string, name, value string) []string {
	out := append([]string{}, args...)
	for i, arg := range out {
		if arg == name && i+1 < len(out) {
			out[i+1] = value
			return out
		}
		if strings.HasPrefix(arg, name+"=") {
			out[i] = name + "=" + value
			return out
		}
	}
	return append([]string{name + "=" + value}, out...)
}
