package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
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
	// A module proxy that does not answer must not hold the app's build for longer
	// than this.
	fetchTimeout = 2 * time.Minute
	// What is compiled for the agent the app's build needs too, except the agent's own
	// packages: this is for what hangs, not for what is slow.
	compileTimeout = 15 * time.Minute
	lockTimeout    = 5 * time.Minute
	// A listing or a hook that no build uses for so long is removed.
	unusedAge = 24 * time.Hour
)

// prepare compiles the agent before a link step asks for it, while the parent go command
// compiles the app. It may guess wrong; then the link step compiles it again.
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

// goroot returns the Go installation that the step's tools are from.
func (s step) goroot() string {
	return filepath.Clean(filepath.Join(filepath.Dir(s.tool), "..", "..", ".."))
}

func (s step) gocmd() string { return filepath.Join(s.goroot(), "bin", "go") }

// runGo runs that installation's go command in dir. A step has all settings of the
// parent go command in its environment, also those of its configuration file.
func (s step) runGo(dir string, assignments []string, timeout time.Duration, args ...string) (string, error) {
	env := gocmd.Setenv(os.Environ(), "GOTOOLCHAIN=local", "TOOLEXEC_IMPORTPATH=")
	// What is compiled for the agent outlasts a rebuild.
	if cache, err := os.Readlink(filepath.Join(s.rebuild, stage.CacheLink)); err == nil && s.rebuild != "" {
		env = gocmd.Setenv(env, "GOCACHE="+cache)
	}
	return gocmd.Run(s.gocmd(), dir, env, assignments, timeout, args...)
}

// moduleEnv is the environment of go commands that work on the agent's sources,
// whatever the app's modules are like. An empty GOFLAGS would not do: the go
// command would take it from its configuration file (go env -w).
var moduleEnv = []string{"GOFLAGS=-mod=readonly", "GO111MODULE=on", "GOWORK=off"}

// An agent is what takes the place of the hook in a program.
type agent struct {
	archives map[string]string // the agent's packages and all under them
	modules  []string          // for importConfig.describe; the first one is the agent's own
}

func (a agent) version() string { return strings.Split(a.modules[0], "\t")[1] }

// agent returns the agent for a program whose packages are those of app. What both
// have of the standard library must be the same archives.
func (s step) agent(flags gocmd.Flags, pgo string, app *importConfig) (agent, error) {
	defer s.lock()()
	modules, err := s.stage.Modules()
	if err != nil {
		return agent{}, err
	}
	own := s // the user's own -toolexec has no business with the agent
	own.userToolexec = ""
	cgo := usesCgo(app, flags)
	archives, err := own.compileFor(app, flags, pgo, cgo)
	if _, ok := err.(errDiffers); ok && !cgo && app.archives["runtime/cgo"] != "" {
		// An experiment (boringcrypto) may have more than net use it.
		archives, err = own.compileFor(app, flags, pgo, true)
	}
	if _, ok := err.(errDiffers); ok && s.userToolexec != "" {
		// It may have changed what both have.
		archives, err = s.compileFor(app, flags, pgo, cgo)
		if err != nil {
			err = fmt.Errorf("with the other -toolexec of this build, %s: %w", s.userToolexec, err)
		}
	}
	return agent{archives, modules}, err
}

// compileFor compiles the agent for a program and returns its archives, or errDiffers if
// one that the program has too is another one there.
func (s step) compileFor(app *importConfig, flags gocmd.Flags, pgo string, cgo bool) (map[string]string, error) {
	path := ""
	// The second time the go command is asked again: the C compiler, say, may be
	// another one than when it was asked last.
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

// errDiffers says that a package of the standard library is not what the build's flags
// make of it.
type errDiffers struct {
	path  string
	flags []string
}

func (e errDiffers) Error() string {
	return fmt.Sprintf("this build compiles %s otherwise than the same go command with the same flags %q does for the agent", e.path, e.flags)
}

type errImportPathTaken string

func (path errImportPathTaken) Error() string {
	return "the app has a package " + string(path) + ", an import path that the agent needs: rename the app's module"
}

// compilerKey says which compiler this is, wherever it lies.
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

// list compiles the agent and returns the archives of its packages and of all
// under them. The go command finds most in its cache. The whole answer is kept in
// the stage, and used again, unless fresh is set, as long as every file in it is
// there. It is kept by what it depends on, and not by where that lies: platforms
// have another directory for each build.
func (s step) list(flags gocmd.Flags, pgo string, cgo, fresh bool) (importConfig, error) {
	key := append([]string{s.compilerKey(), s.toolIDs()}, flags.Archive...)
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
		key = append(key, fmt.Sprintf("%x", sha256.Sum256(profile)))
	}
	key = append(key, gocmd.ArchiveVariables(gocmd.Setenv(os.Environ(), env...))...)
	sum := sha256.Sum256([]byte(strings.Join(key, "\x00")))
	name := s.stage.Path("listings", hex.EncodeToString(sum[:12]))
	if listed, ok := readListing(name); ok && !fresh {
		return listed, nil
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
	writeListing(name, out)
	return listed, nil
}

// toolIDs says whether the agent is compiled under the tools' own IDs: those of
// bin/toolexec name their archives otherwise.
func (s step) toolIDs() string {
	if s.toolexec == "" {
		return "the tools' own IDs"
	}
	return ""
}

// readListing returns the listing in a file, if it is whole and the archives are there.
func readListing(name string) (importConfig, bool) {
	data, err := os.ReadFile(name)
	if err != nil {
		return importConfig{}, false
	}
	listed := parseImportConfig(string(data))
	if !listed.complete() || !strings.HasPrefix(string(data), checksum(data[bytes.IndexByte(data, '\n')+1:])) {
		return importConfig{}, false
	}
	touch(name)
	return listed, true
}

// writeListing keeps a listing, and removes those that are no longer used. Without the
// file, the next link takes longer, nothing else.
func writeListing(name, listing string) {
	os.Mkdir(filepath.Dir(name), 0o777)
	prune(filepath.Dir(name))
	os.RemoveAll(name)
	os.WriteFile(name, []byte(checksum([]byte(listing))+listing), 0o666)
}

// touch notes that a file of the stage is used.
func touch(name string) {
	now := time.Now()
	os.Chtimes(name, now, now)
}

// prune removes what builds no longer use from a directory of the stage.
func prune(dir string) {
	old, _ := os.ReadDir(dir)
	for _, file := range old {
		if info, err := file.Info(); err == nil && time.Since(info.ModTime()) > unusedAge {
			os.RemoveAll(filepath.Join(dir, file.Name()))
		}
	}
}

// checksum returns a line by which a file that is cut off or damaged is known.
func checksum(data []byte) string { return fmt.Sprintf("# %x\n", sha256.Sum256(data)) }

// withUserToolexec returns GOFLAGS for a go command in whose build, too, the user's own
// -toolexec is to run between bin/toolexec and the tools.
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

// agentGcflags returns the flag -gcflags for the agent's packages, of which the
// last one counts that matches: what the app has for all packages, and more. Stack
// traces and profiles show the import path, not the stage, and the archives do not
// depend on where it lies. DWARF is for debugging the agent, which is not what the
// app's program is there for.
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

// complete reports whether the listing holds the agent and all its files exist.
func (c importConfig) complete() bool {
	for _, archive := range c.archives {
		if !exists(archive) {
			return false
		}
	}
	return c.archives[shadedStart] != ""
}

// conflict returns a package that is in both lists of archives but compiled
// otherwise in each, or "". The go command names the files in its cache by what
// they hold.
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

// lock keeps other steps from making the same in the stage, until unlock is called.
// Whoever holds it has a process that may be stopped: it is waited for only so long.
// Without the lock two may be in each other's way, and one go without the agent.
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
