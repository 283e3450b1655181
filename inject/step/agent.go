package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/gocmd"
	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/stage"
)

const (
	// A module proxy that does not answer must not delay the app's build for longer.
	fetchTimeout = 2 * time.Minute
	// Except for the agent's own packages, the app's build needs what is compiled for the
	// agent: this limit is for what hangs, not for what is slow.
	compileTimeout = 15 * time.Minute
	lockTimeout    = 5 * time.Minute
)

// prepare compiles the agent before a link step needs it, while the parent go command
// compiles the app. If it guesses the flags wrong, the link step compiles it again.
func (s step) prepare() error {
	flags, err := s.flags()
	if err != nil {
		return err
	}
	defer s.lock()()
	s.userToolexec = ""
	_, err = s.list(flags, "", true, false)
	return err
}

// flags returns the flags of the parent go command.
func (s step) flags() (gocmd.Flags, error) {
	parent, err := gocmd.FindParent("/proc", s.parent, os.Getenv("TOOLEXEC_IMPORTPATH"), s.gocmd())
	if err != nil {
		return gocmd.Flags{}, err
	}
	return gocmd.ReadFlags(parent.Args, os.Getenv("GOFLAGS"), parent.Dir)
}

func (s step) compiler() string { return filepath.Join(filepath.Dir(s.tool), "compile") }

// runCompiler compiles a package without a go command. The user's own -toolexec does not run.
func (s step) runCompiler(what string, args []string) error {
	if out, err := exec.Command(s.compiler(), args...).CombinedOutput(); err != nil {
		return fmt.Errorf("compiling %s: %s", what, gocmd.Problem(string(out)+"\n"+err.Error()))
	}
	return nil
}

// goroot returns the Go installation of the step's tools.
func (s step) goroot() string {
	return filepath.Clean(filepath.Join(filepath.Dir(s.tool), "..", "..", ".."))
}

func (s step) gocmd() string { return filepath.Join(s.goroot(), "bin", "go") }

// runGo runs the go command of that installation in dir. A step's environment has all
// settings of the parent go command, including those of its configuration file.
func (s step) runGo(dir string, assignments []string, timeout time.Duration, args ...string) (string, error) {
	env := gocmd.Setenv(os.Environ(), "GOTOOLCHAIN=local", "TOOLEXEC_IMPORTPATH=")
	// The archives of the agent outlast a rebuild.
	if cache, err := os.Readlink(filepath.Join(s.rebuild, stage.CacheLink)); err == nil && s.rebuild != "" {
		env = gocmd.Setenv(env, "GOCACHE="+cache)
	}
	return gocmd.Run(s.gocmd(), dir, env, assignments, timeout, args...)
}

// moduleEnv is the environment of go commands that work on the agent's sources, independent
// of the app's modules. GOFLAGS must not be empty, or the go command takes it from its
// configuration file (go env -w).
var moduleEnv = []string{"GOFLAGS=-mod=readonly", "GO111MODULE=on", "GOWORK=off"}

// An agent is what replaces the hook in a program.
type agent struct {
	archives map[string]string // the agent's packages and their dependencies
	modules  []string          // for importConfig.describe; the first one is the agent's own
}

func (a agent) version() string { return strings.Split(a.modules[0], "\t")[1] }

// agent returns the agent for a program with the packages of app. The two must share the
// same archives of the standard library.
func (s step) agent(flags gocmd.Flags, pgo string, app *importConfig) (agent, error) {
	defer s.lock()()
	modules, err := s.stage.Modules()
	if err != nil {
		return agent{}, err
	}
	own := s // the user's own -toolexec does not run for the agent
	own.userToolexec = ""
	cgo := usesCgo(app, flags)
	archives, err := own.compileFor(app, flags, pgo, cgo)
	if _, ok := err.(errDiffers); ok && !cgo && app.archives["runtime/cgo"] != "" {
		// With an experiment (boringcrypto), other packages than net may use cgo.
		archives, err = own.compileFor(app, flags, pgo, true)
	}
	if _, ok := err.(errDiffers); ok && s.userToolexec != "" {
		// The user's -toolexec may have changed the shared packages. If the program lacks one
		// that the agent needs, only that tool can make it.
		if archives, err = s.compileAgainst(app, flags); err != nil {
			archives, err = s.compileFor(app, flags, pgo, cgo)
		}
		if err != nil {
			err = fmt.Errorf("with the other -toolexec of this build, %s: %w", s.userToolexec, err)
		}
	}
	return agent{archives, modules}, err
}

// compileFor compiles the agent for a program and returns its archives, or errDiffers if the
// program has another archive of a shared package.
func (s step) compileFor(app *importConfig, flags gocmd.Flags, pgo string, cgo bool) (map[string]string, error) {
	path := ""
	// The second round asks the go command again: the C compiler, for example, may have
	// changed since the last time.
	for _, fresh := range []bool{false, true} {
		listed, err := s.list(flags, pgo, cgo, fresh)
		if err != nil {
			return nil, err
		}
		if path, err = conflict(listed.archives, app.archives); err != nil {
			return nil, err
		}
		if path == "" {
			return listed.archives, nil
		}
	}
	if strings.HasPrefix(path, shadedRoot+"/") {
		return nil, errImportPathTaken(path)
	}
	return nil, errDiffers{path, flags.Archive}
}

// errDiffers is the error for a package of the standard library that the build compiles
// differently from what its flags say.
type errDiffers struct {
	path  string
	flags []string
}

func (e errDiffers) Error() string {
	return fmt.Sprintf("this build compiles %s differently than the same go command does for the agent with the same flags %q", e.path, e.flags)
}

type errImportPathTaken string

func (path errImportPathTaken) Error() string {
	return "the app has a package " + string(path) + ", an import path that the agent needs: rename the app's module"
}

// compilerKey identifies the compiler, independent of its directory.
func (s step) compilerKey() string {
	version, _ := os.ReadFile(filepath.Join(s.goroot(), "VERSION"))
	file, err := os.Stat(s.compiler())
	if err != nil {
		return ""
	}
	key := fmt.Sprint(string(version), file.Size(), file.ModTime().UnixNano())
	if s.userToolexec != "" {
		command := s.command([]string{"-V=full"})
		command[len(command)-2] = s.compiler()
		id, _ := exec.Command(command[0], command[1:]...).Output()
		key += string(id)
	}
	return key
}

// list compiles the agent and returns the archives of its packages and their dependencies.
// The go command finds most of them in its cache. list keeps the answer in the stage and
// uses it again, unless fresh is set, as long as all of its files exist. The key is what the
// answer depends on, not the directories: platforms use another directory for each build.
func (s step) list(flags gocmd.Flags, pgo string, cgo, fresh bool) (importConfig, error) {
	// The tool IDs of bin/toolexec give the archives other names than the tools' own.
	key := append([]string{s.compilerKey(), fmt.Sprint(s.toolexec != "")}, flags.Archive...)
	args := append([]string{"list", "-export", "-deps"}, flags.Archive...)
	env := moduleEnv
	if !cgo {
		env = append([]string{"CGO_ENABLED=0"}, env...)
	}
	if pgo != "" {
		profile, err := os.ReadFile(pgo)
		if err != nil {
			return importConfig{}, fmt.Errorf("compiling the agent: %w", err)
		}
		args = append(args, "-pgo="+pgo)
		key = append(key, hash(string(profile)))
	}
	key = append(key, gocmd.ArchiveVariables(gocmd.Setenv(os.Environ(), env...))...)
	name := s.stage.Path("listings", hash(key...))
	if data, ok := readKept(name); ok && !fresh {
		if listed := parseImportConfig(string(data)); listed.complete() {
			return listed, nil
		}
	}
	if err := s.shade(flags); err != nil {
		return importConfig{}, err
	}
	if s.toolexec != "" {
		args = append(args, "-toolexec="+s.toolexec)
		env = gocmd.Setenv(env, "GOFLAGS="+withUserToolexec(s.userToolexec, s.toolexec))
	} else if s.userToolexec != "" {
		args = append(args, "-toolexec="+s.userToolexec)
	}
	if p := flags.Last("p"); p != "" {
		args = append(args, "-p="+p)
	}
	args = append(args, agentGcflags(flags, s.stage.Path("shaded")),
		"-f", "{{if .Export}}packagefile {{.ImportPath}}={{.Export}}{{end}}", shadedStart)
	out, err := s.runGo(s.stage.Path("shaded"), env, compileTimeout, args...)
	if err != nil {
		return importConfig{}, fmt.Errorf("compiling the agent: %w", err)
	}
	listed := parseImportConfig(out)
	if !listed.complete() {
		return importConfig{}, fmt.Errorf("compiling the agent: the go command lists no archive for it")
	}
	keep(name, []byte(out)) // without it, the next link only takes longer
	return listed, nil
}

// withUserToolexec returns GOFLAGS for a go command that must also run the user's own
// -toolexec between bin/toolexec and the tools.
func withUserToolexec(user, toolexec string) string {
	if user == "" {
		return "-mod=readonly"
	}
	quote := ""
	if strings.ContainsAny(user, " \t\r\n") { // before Go 1.20 there is no such GOFLAGS
		quote = "'"
	}
	return "-mod=readonly " + quote + "-toolexec=" + user + quote + " -toolexec=" + strings.Fields(toolexec)[0]
}

// agentGcflags returns the flag -gcflags for the agent's packages. Only the last flag that
// matches a package counts, so this one repeats what the app has for all packages. It adds
// two flags. -trimpath makes stack traces and profiles show the import path instead of the
// stage, and the archives independent of its directory. -dwarf=false leaves out what only
// helps to debug the agent.
func agentGcflags(flags gocmd.Flags, shaded string) string {
	const all = "-gcflags=all="
	more := ""
	for _, f := range flags.Archive {
		if strings.HasPrefix(f, all) {
			more = f[len(all):] + " "
		}
	}
	quote := "'"
	if strings.Contains(shaded, quote) {
		quote = `"`
	}
	return "-gcflags=" + shadedRoot + "/...=" + more + "-dwarf=false " + quote + "-trimpath=" + shaded + "=>" + shadedRoot + quote
}

// complete reports whether the listing has the agent and all of its files exist.
func (c importConfig) complete() bool {
	for _, archive := range c.archives {
		if !exists(archive) {
			return false
		}
	}
	return c.archives[shadedStart] != ""
}

// conflict returns a package that is in both lists of archives but compiled differently, or
// "". Files of the same name are equal: the go command names the files in its cache by their
// content.
func conflict(agent, app map[string]string) (string, error) {
	for _, path := range sortedKeys(app) {
		if agent[path] == "" || agent[path] == app[path] {
			continue
		}
		a, err := buildID(agent[path])
		if err != nil {
			return path, err
		}
		b, err := buildID(app[path])
		if err != nil {
			return path, err
		}
		if contentID(a) != contentID(b) {
			return path, nil
		}
	}
	return "", nil
}

// lock keeps other steps from the same work in the stage until unlock is called. A process
// that holds the lock may be stopped, so lock does not wait forever. Without the lock, two
// steps may disturb each other, and one of them may link without the agent.
func (s step) lock() (unlock func()) {
	f, err := os.Open(s.stage.Path())
	if err != nil {
		return func() {}
	}
	for end := time.Now().Add(lockTimeout); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != syscall.EWOULDBLOCK {
			break
		}
	}
	return func() { f.Close() }
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}
