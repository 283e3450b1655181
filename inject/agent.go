package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A builder compiles the agent as the parent go command compiles the app.
type builder struct {
	stage    stage
	toolexec string // what the go commands that it runs have as -toolexec
	rebuild  string // directory of inject rebuild, or ""; then without toolexec
	chain    string // -toolexec of the user's own, or ""
	pid      int    // where to look for the parent go command
	tool     string // compiler or linker of the parent go command
}

// otherStage is the exit status where this command was built for another stage.
const otherStage exitStatus = 3

// readBuilder reads STAGE TOOLEXEC CHAIN PID TOOL [ARG]… and returns the rest.
func readBuilder(args []string) (b builder, rest []string, err error) {
	if len(args) < 5 {
		return b, nil, errUsage
	}
	if args[0] != stageID {
		return b, nil, otherStage
	}
	args = args[1:]
	b = builder{toolexec: args[0], chain: args[1], tool: args[3]}
	if b.pid, err = strconv.Atoi(args[2]); err != nil {
		return b, nil, errUsage
	}
	if b.toolexec == "" {
		b.rebuild = filepath.Dir(os.Args[0])
	}
	b.stage, err = openStage(os.Getenv("HMETRICS_STAGE"))
	return b, args[4:], err
}

// prepare compiles the agent before a link asks for it, while the parent go
// command compiles the app. It may guess wrong; then the link compiles it again.
func prepare(args []string) error {
	b, _, err := readBuilder(args)
	if err != nil {
		return err
	}
	flags, err := b.flags()
	if err != nil {
		return err
	}
	defer b.stage.lock()()
	_, err = b.list(flags, "", true, false)
	return err
}

// flags returns the flags of the parent go command.
func (b builder) flags() (buildFlags, error) {
	parent, err := findParent("/proc", b.pid, os.Getenv("TOOLEXEC_IMPORTPATH"))
	if err != nil {
		return buildFlags{}, err
	}
	return readBuildFlags(parent.args, os.Getenv("GOFLAGS"), parent.dir)
}

func (b builder) compiler() string { return filepath.Join(filepath.Dir(b.tool), "compile") }

// goroot returns the Go installation that the step's tools are from.
func (b builder) goroot() string {
	return filepath.Clean(filepath.Join(filepath.Dir(b.tool), "..", "..", ".."))
}

// goCommand runs that installation's go command in dir. A step has all settings of
// the parent go command in its environment, also those of its configuration file.
func (b builder) goCommand(dir string, assignments []string, timeout time.Duration, args ...string) (string, error) {
	env := setenv(os.Environ(), "GOTOOLCHAIN=local", "TOOLEXEC_IMPORTPATH=")
	return runGo(filepath.Join(b.goroot(), "bin", "go"), dir, env, assignments, timeout, args...)
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
func (b builder) agent(flags buildFlags, pgo string, cgo bool, app *importConfig) (agent, error) {
	defer b.stage.lock()()
	modules, err := b.stage.modules()
	if err != nil {
		return agent{}, err
	}
	// The second time the go command is asked again: the C compiler, say, may be
	// another one than when it was asked last.
	path := ""
	for _, fresh := range []bool{false, true} {
		listed, err := b.list(flags, pgo, cgo, fresh)
		if err != nil {
			return agent{}, err
		}
		if path, err = conflict(listed.archives, app.archives); err != nil {
			return agent{}, err
		}
		if path == "" {
			return agent{listed.archives, modules}, nil
		}
	}
	if strings.HasPrefix(path, shadedRoot+"/") {
		return agent{}, errImportPathTaken(path)
	}
	return agent{}, fmt.Errorf("this build compiles %s otherwise than the same flags (%s) do for the agent", path, strings.Join(flags.archive, " "))
}

type errImportPathTaken string

func (path errImportPathTaken) Error() string {
	return "the app has a package " + string(path) + ", an import path that the agent needs: rename the app's module"
}

// archiveVars are the environment variables that change what the archives of
// the standard library hold, or where they lie (go help environment).
var archiveVars = strings.Fields("GOOS GOARCH GOARM GOARM64 GOAMD64 GO386 GOMIPS GOMIPS64 GOPPC64 GORISCV64 GOWASM " +
	"GOEXPERIMENT GOFIPS140 GOROOT GOCACHE GOCACHEPROG CGO_ENABLED CGO_CFLAGS CGO_CPPFLAGS CGO_CXXFLAGS CGO_FFLAGS CGO_LDFLAGS " +
	"CGO_CFLAGS_ALLOW CGO_CFLAGS_DISALLOW CGO_CPPFLAGS_ALLOW CGO_CPPFLAGS_DISALLOW CGO_CXXFLAGS_ALLOW CGO_CXXFLAGS_DISALLOW " +
	"CGO_LDFLAGS_ALLOW CGO_LDFLAGS_DISALLOW CC CXX FC AR PKG_CONFIG")

// list compiles the agent and returns the archives of its packages and of all
// under them. The go command finds most in its cache. The whole answer is kept in
// the stage, and used again, unless fresh is set, as long as every file in it is
// there.
func (b builder) list(flags buildFlags, pgo string, cgo, fresh bool) (importConfig, error) {
	compiler, err := os.Stat(b.compiler())
	if err != nil {
		return importConfig{}, fmt.Errorf("compiling the agent: %w", err)
	}
	key := append([]string{b.compiler(), fmt.Sprint(compiler.Size(), compiler.ModTime()), b.toolexec, b.chain}, flags.archive...)
	args := append([]string{"list", "-export", "-deps"}, flags.archive...)
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
	for _, name := range archiveVars {
		key = append(key, name+"="+getenv(setenv(os.Environ(), env...), name))
	}
	sum := sha256.Sum256([]byte(strings.Join(key, "\x00")))
	name := b.stage.path("listings", hex.EncodeToString(sum[:12]))
	if data, err := os.ReadFile(name); err == nil && !fresh {
		if l := parseImportConfig(string(data)); l.complete() && strings.HasPrefix(string(data), checksum(data[bytes.IndexByte(data, '\n')+1:])) {
			return l, nil
		}
	}
	if err := b.shade(); err != nil {
		return importConfig{}, err
	}
	if b.toolexec != "" {
		args = append(args, "-toolexec="+b.toolexec)
		env = setenv(env, "GOFLAGS="+withChain(b.chain, b.toolexec))
	}
	args = append(args, agentGcflags(flags, b.stage.path("shaded")),
		"-f", "{{if .Export}}packagefile {{.ImportPath}}={{.Export}}{{end}}", shadedOnload)
	out, err := b.goCommand(b.stage.path("shaded"), env, compileTimeout, args...)
	if err != nil {
		return importConfig{}, fmt.Errorf("compiling the agent: %w", err)
	}
	l := parseImportConfig(out)
	if !l.complete() {
		return importConfig{}, fmt.Errorf("compiling the agent: the go command lists no archive for it")
	}
	// Without the file, the next link takes longer, nothing else.
	os.Mkdir(filepath.Dir(name), 0o777)
	os.RemoveAll(name)
	os.WriteFile(name, []byte(checksum([]byte(out))+out), 0o666)
	return l, nil
}

// checksum returns a line by which a file that is cut off or damaged is known.
func checksum(data []byte) string { return fmt.Sprintf("# %x\n", sha256.Sum256(data)) }

// withChain returns GOFLAGS for a go command in whose build, too, the user's own
// -toolexec is to run between bin/toolexec and the tools.
func withChain(chain, toolexec string) string {
	if chain == "" {
		return "-mod=readonly"
	}
	quote := ""
	if strings.ContainsAny(chain, " \t\r\n") { // before Go 1.20 there is no such GOFLAGS
		quote = "'"
	}
	return "-mod=readonly " + quote + "-toolexec=" + chain + quote + " -toolexec=" + strings.Fields(toolexec)[0]
}

// agentGcflags returns the flag -gcflags for the agent's packages, of which the
// last one counts that matches: what the app has for all packages, and more. Stack
// traces and profiles show the import path, not the stage, and the archives do not
// depend on where it lies. DWARF is for debugging the agent, which is not what the
// app's binary is there for.
func agentGcflags(flags buildFlags, shaded string) string {
	const all = "-gcflags=all="
	more := ""
	for _, f := range flags.archive {
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
	return c.archives[shadedOnload] != ""
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

// contentID returns the part of a build ID that is a hash of what the archive holds
// (cmd/go/internal/work/buildid.go).
func contentID(buildID string) string { return buildID[strings.LastIndexByte(buildID, '/')+1:] }

// buildID returns the build ID of an archive. It stands in the text before the
// archive's first binary data:
//
//	!<arch>
//	__.PKGDEF       0           0     0     644     7955      `
//	go object linux amd64 go1.26.8 X:none
//	build id "b41e5c45250e25c9fd5e9f9a1de7857ea0d41224"
func buildID(archive string) (string, error) {
	f, err := os.Open(archive)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head := make([]byte, 1024)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.ErrUnexpectedEOF {
		return "", fmt.Errorf("reading the build ID of %s: %w", archive, err)
	}
	_, rest, _ := strings.Cut(string(head[:n]), "\nbuild id ")
	line, _, _ := strings.Cut(rest, "\n")
	id, err := strconv.Unquote(line)
	if err != nil || id == "" {
		return "", fmt.Errorf("reading the build ID of %s: it has none", archive)
	}
	return id, nil
}

// lock keeps other steps from making the same, until unlock is called. Whoever
// holds it has a process that may be stopped: it is waited for only so long.
// Without the lock two may be in each other's way, and one go without the agent.
func (s stage) lock() (unlock func()) {
	f, err := os.Open(s.dir)
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
