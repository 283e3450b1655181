package main

import (
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

// hook returns the archive of the hook that imports nothing.
func (s step) hook(shared bool) (archive string, err error) {
	return s.compileHook("", shared, nil)
}

// agentHook returns the archive of the hook that imports the agent, whose archive is start.
// It replaces the hook in the given archive.
func (s step) agentHook(hook, start string) (archive string, err error) {
	data, err := os.ReadFile(hook)
	if err != nil {
		return "", err
	}
	stub, err := objectFile(data)
	if err != nil {
		return "", fmt.Errorf("reading the hook: %w", err)
	}
	return s.compileHook(start, stub.shared(), stub.fingerprint())
}

// compileHook returns the archive of a hook. If start is not empty, the hook imports that
// archive, and it gets the fingerprint. A hook is compiled once for each compiler and its
// settings.
func (s step) compileHook(start string, shared bool, fingerprint []byte) (archive string, err error) {
	text, err := os.ReadFile(s.stage.Path(hookSources, "hook.go.txt"))
	if err != nil {
		return "", err
	}
	source, key, config := string(text), "", ""
	if start != "" {
		if key, err = buildID(start); err != nil {
			return "", err
		}
		source = strings.NewReplacer("package hook\n", "package hook\n\nimport \""+shadedStart+"\"\n", noStart, agentStart).Replace(source)
		config = "packagefile " + shadedStart + "=" + start + "\n"
	}
	key = hash(s.compilerKey(), source, fmt.Sprint(shared), contentID(key), fmt.Sprint(gocmd.ArchiveVariables(os.Environ())))
	defer s.lock()()
	kept := s.stage.Path("hooks", key)
	if _, ok := readKept(kept); ok {
		return kept, nil
	}
	dir := filepath.Join(filepath.Dir(value(s.args, "-importcfg")), "hmetrics.hook")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	file, importcfg, archive := filepath.Join(dir, "hook.go"), filepath.Join(dir, "hook.cfg"), filepath.Join(dir, key)
	if err := os.WriteFile(file, []byte(source), 0o666); err != nil {
		return "", err
	}
	if err := os.WriteFile(importcfg, []byte(config), 0o666); err != nil {
		return "", err
	}
	args := []string{"-o", archive, "-p", hookPath, "-trimpath", dir + "=>" + hookPath, "-importcfg", importcfg, "-pack"}
	if shared {
		args = append(args, "-shared")
	}
	if err := s.runCompiler("the hook", append(args, file)); err != nil {
		return "", err
	}
	data, err := os.ReadFile(archive)
	if err != nil {
		return "", err
	}
	made, err := objectFile(data)
	if err != nil {
		return "", fmt.Errorf("reading the hook: %w", err)
	}
	if start != "" {
		copy(made.fingerprint(), fingerprint)
	}
	if keep(kept, data) == nil {
		return kept, nil
	}
	return archive, os.WriteFile(archive, data, 0o666)
}
