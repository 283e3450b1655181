package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// A decision is what the preflight found for one go command. Every later step
// of that go command follows it: its tools' IDs have promised so to the build
// cache, whatever has changed meanwhile.
type decision struct {
	Linked   bool // whether main packages get the agent
	Flags    buildFlags
	Compiler string
	ID       string
	Toolexec string
	Env      []string // archiveVars
	ModCache string
}

// preflight decides for the go command parent, after making sure that whatever
// injection needs is there. The remark is for the build log, if not empty.
func preflight(st stage, parent goCommand, tc toolchain, toolexec string, env []string) (remark string, err error) {
	d, err := st.decision(parent)
	switch {
	case err == nil && d.Linked:
		return "", nil
	case err == nil:
		return "", notMeant("the preflight for compile found against it")
	case filepath.Base(tc.compiler) == "link":
		// The go command asks for the compiler's ID first. If what was found
		// then could not be recorded, that ID has not promised the agent.
		return "", notMeant("the preflight for compile left no record")
	}
	d, err = decide(st, parent, tc, toolexec, env)
	if werr := st.record(parent, d); werr != nil {
		return "", fmt.Errorf("recording what was decided: %w", werr)
	}
	if err != nil || d.Flags.Command != "build" && d.Flags.Command != "install" {
		return "", err
	}
	patterns, err := st.patterns()
	if err != nil || len(patterns) == 0 {
		return "", err
	}
	idle, module, err := d.idle(patterns, env)
	if err == nil && len(idle) > 0 {
		remark = "HMETRICS_PACKAGES: no main package of " + module + " matches " + strings.Join(idle, " ")
	}
	return remark, nil // what go list has to say, the app's own go command will
}

func decide(st stage, parent goCommand, tc toolchain, toolexec string, env []string) (decision, error) {
	// The go command sets all its settings in the environment of -V=full, also
	// those from its configuration file.
	flags, err := readBuildFlags(parent.args, getenv(env, "GOFLAGS"), parent.dir)
	if err != nil {
		return decision{}, err
	}
	d := decision{
		Flags: flags, Compiler: tc.compiler, ID: tc.id, Toolexec: toolexec,
		Env: archiveEnv(env), ModCache: getenv(env, "GOMODCACHE"),
	}
	if goos := getenv(env, "GOOS"); goos != "linux" && !(goos == "" && runtime.GOOS == "linux") {
		return d, notMeant("GOOS is " + goos)
	}
	if !executable(flags.Buildmode) {
		return d, notMeant("-buildmode is " + flags.Buildmode)
	}
	if flags.Shared {
		return d, errors.New("-linkshared takes the standard library from a file that was built without it: build without -linkshared")
	}
	g := d.goTool(env)
	if !exists(filepath.Join(g.goroot(), "bin", "go")) {
		return d, fmt.Errorf("no go command in %s beside the compiler", filepath.Join(g.goroot(), "bin"))
	}
	if err := st.shade(g); err != nil {
		return d, err
	}
	if _, err := st.list(g, flags.Archive, false); err != nil {
		return d, err
	}
	d.Linked = true
	return d, nil
}

// executable reports whether a -buildmode makes programs.
func executable(mode string) bool {
	switch mode {
	case "", "default", "exe", "pie":
		return true
	}
	return false
}

// goTool returns the go command of the decision, for use in a step whose own
// environment is env.
func (d decision) goTool(env []string) goTool {
	return goTool{toolchain{d.Compiler, d.ID}, d.Toolexec, setenv(env, append(d.Env, "TOOLEXEC_IMPORTPATH=")...)}
}

// listApp asks the go command, in dir and with the app's modules, about the
// packages that the pattern matches. It compiles nothing.
func (d decision) listApp(env []string, dir, format, pattern string) (string, error) {
	args := append([]string{"list", "-find", "-f", format}, d.Flags.Module...)
	out, err := d.goTool(env).run(context.Background(), dir, []string{"GOFLAGS=-buildvcs=false"}, append(args, pattern)...)
	return strings.TrimSpace(out), err
}

// record keeps a decision for the later steps of the go command, and drops
// those of go commands that have ended. Of those in another PID namespace
// nothing is known.
func (s stage) record(g goCommand, d decision) error {
	dir := s.path("runs")
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		f := strings.Split(e.Name(), "-")
		if len(f) != 3 || f[0] != g.space {
			continue
		}
		pid, err := strconv.Atoi(f[1])
		if err != nil {
			continue
		}
		if run, err := findGoCommand("/proc", pid); err != nil || run.name() != strings.SplitN(e.Name(), ".", 2)[0] {
			// Not one that is being written (writeFile) just now.
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
	b, err := json.Marshal(d)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, g.name()), b)
}

func (s stage) decision(g goCommand) (decision, error) {
	var d decision
	b, err := os.ReadFile(s.path("runs", g.name()))
	if err == nil {
		err = json.Unmarshal(b, &d)
	}
	return d, err
}
