package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/gocmd"
)

// The hook is the package that every main package is compiled with and calls. It imports
// nothing, and the function that main calls is nil. The link step replaces it with a second
// hook, which imports the agent. To the linker, the two are the same package. It compares the
// fingerprint of the export data that main was compiled with to that of the archive. Both
// hooks have the same declarations, so the second one can have the fingerprint of the first.
// The order of the declarations counts too: object files refer to the hook's symbols by
// index.
//
// main calls the hook from an init function of its last file. By then, all other init
// functions of the program have run, including those of main.
const (
	hookPath    = "hmetrics.injected/hook"
	hookSources = "src/inject/step/hook"

	noStart    = "func init() { Start = nil }\n"
	agentStart = "func init() { Start = start.Reporting }\n"
)

// hook returns the archive of the hook that imports nothing. It is compiled once for each
// compiler and its settings.
func (s step) hook(shared bool) (archive string, err error) {
	source, err := os.ReadFile(s.stage.Path(hookSources, "hook.go.txt"))
	if err != nil {
		return "", err
	}
	return s.compileHook(string(source), shared, "", nil)
}

// agentHook returns the archive of the hook that imports the agent, to replace the hook in
// the given archive.
func (s step) agentHook(hook, start string) (archive string, err error) {
	data, err := os.ReadFile(hook)
	if err != nil {
		return "", err
	}
	stub, err := objectFile(data)
	if err != nil {
		return "", fmt.Errorf("reading the hook: %w", err)
	}
	source, err := os.ReadFile(s.stage.Path(hookSources, "hook.go.txt"))
	if err != nil {
		return "", err
	}
	agent := strings.NewReplacer("package hook\n", "package hook\n\nimport \""+shadedStart+"\"\n", noStart, agentStart).Replace(string(source))
	return s.compileHook(agent, stub.shared(), start, stub)
}

// compileHook returns the archive of a hook. If start is not empty, the hook imports that
// archive; if fingerprint is not nil, the hook gets the fingerprint of that object.
func (s step) compileHook(source string, shared bool, start string, fingerprint object) (archive string, err error) {
	key, config := "", ""
	if start != "" {
		if key, err = buildID(start); err != nil {
			return "", err
		}
		config = "packagefile " + shadedStart + "=" + start + "\n"
	}
	sum := sha256.Sum256([]byte(fmt.Sprint(s.compilerKey(), source, shared, contentID(key), gocmd.ArchiveVariables(os.Environ()))))
	dir := s.stage.Path("hooks", fmt.Sprintf("%x", sum[:12]))
	defer s.lock()()
	archive = filepath.Join(dir, "hook.a")
	if data, err := os.ReadFile(archive); err == nil && isWhole(dir, data) {
		touch(dir)
		return archive, nil
	}
	prune(filepath.Dir(dir))
	os.RemoveAll(dir)
	if os.MkdirAll(dir, 0o777) != nil { // a stage that cannot be written
		dir = filepath.Dir(value(s.args, "-importcfg"))
	}
	file, importcfg, archive := filepath.Join(dir, "hook.go"), filepath.Join(dir, "hook.cfg"), filepath.Join(dir, "hook.a")
	if err := os.WriteFile(file, []byte(source), 0o666); err != nil {
		return "", err
	}
	if err := os.WriteFile(importcfg, []byte(config), 0o666); err != nil {
		return "", err
	}
	args := []string{"-o", archive + ".new", "-p", hookPath, "-trimpath", dir + "=>" + hookPath, "-importcfg", importcfg, "-pack"}
	if shared {
		args = append(args, "-shared")
	}
	if err := s.runCompiler("the hook", append(args, file)); err != nil {
		return "", err
	}
	data, err := os.ReadFile(archive + ".new")
	if err != nil {
		return "", err
	}
	made, err := objectFile(data)
	if err != nil {
		return "", fmt.Errorf("reading the hook: %w", err)
	}
	if fingerprint != nil {
		copy(made.fingerprint(), fingerprint.fingerprint())
	}
	if err := os.WriteFile(archive+".new", data, 0o666); err != nil {
		return "", err
	}
	if err := os.WriteFile(sumFile(dir), []byte(checksum(data)), 0o666); err != nil {
		return "", err
	}
	return archive, os.Rename(archive+".new", archive)
}

// isWhole reports whether a hook is what was written into its directory.
func isWhole(dir string, hook []byte) bool {
	sum, err := os.ReadFile(sumFile(dir))
	return err == nil && string(sum) == checksum(hook)
}

func sumFile(dir string) string { return filepath.Join(dir, "hook.sum") }
