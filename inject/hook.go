package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// The hook is the package that every main package is compiled with and imports.
// It imports nothing. In the link step another one takes its place that imports
// the agent. To the linker both are the same package: it compares the fingerprint
// of the export data that main was compiled with to the one that the archive
// holds, and both hooks declare the same, so that the second may have the
// fingerprint of the first. The order of the declarations counts as well: a main
// package compiled by Go 1.18 or 1.19 refers to the hook's init task by its index.
const hookPath = "hmetrics.injected/hook"

// agentHook is hook_source of bin/lib/step.sh with one import more.
const agentHook = `package hook

import _ "` + shadedOnload + `"

var linked int

func init() { linked++ }
`

// compileAgentHook compiles the hook that imports the agent and returns its
// archive, which lies beside that of the hook in whose place it goes.
func compileAgentHook(compiler, hook, onload string) (archive string, err error) {
	data, err := os.ReadFile(hook)
	if err != nil {
		return "", err
	}
	object, err := objectFile(data)
	if err != nil {
		return "", fmt.Errorf("reading the hook: %w", err)
	}
	dir := filepath.Dir(hook)
	source, config := filepath.Join(dir, "hmetrics.agent.go"), filepath.Join(dir, "hmetrics.agent.cfg")
	archive = filepath.Join(dir, "hmetrics.agent.a")
	if err := os.WriteFile(source, []byte(agentHook), 0o666); err != nil {
		return "", err
	}
	if err := os.WriteFile(config, []byte("packagefile "+shadedOnload+"="+onload+"\n"), 0o666); err != nil {
		return "", err
	}
	args := []string{"-o", archive, "-p", hookPath, "-trimpath", dir + "=>" + hookPath, "-importcfg", config, "-pack"}
	if object.shared() {
		args = append(args, "-shared")
	}
	if out, err := exec.Command(compiler, append(args, source)...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("compiling the hook: %s", oneLine(string(out)+"\n"+err.Error()))
	}
	made, err := os.ReadFile(archive)
	if err != nil {
		return "", err
	}
	to, err := objectFile(made)
	if err != nil {
		return "", fmt.Errorf("reading the hook that imports the agent: %w", err)
	}
	copy(to.fingerprint(), object.fingerprint())
	return archive, os.WriteFile(archive, made, 0o666)
}

// An object is a Go object file, of which only the beginning concerns us
// (cmd/internal/goobj): a magic string of eight bytes, the fingerprint, and flags.
type object []byte

const objectMagic = "\x00go1" // and the release that brought the format, as 20ld

func (o object) fingerprint() []byte { return o[8:16] }

// shared reports whether the code may be loaded at any address.
func (o object) shared() bool { return o[16]&1 != 0 }

// objectFile returns the Go object file in the archive of a hook (cmd/internal/archive),
// which it ends with:
//
//	go object linux amd64 go1.26.8 X:none
//	…
//	!
//	␀go120ld…
func objectFile(archive []byte) (object, error) {
	const end = "\n!\n"
	i := bytes.LastIndex(archive, []byte(end+objectMagic))
	if i < 0 || len(archive) < i+len(end)+20 || string(archive[i+len(end)+6:i+len(end)+8]) != "ld" {
		return nil, errors.New("its object file is not of a known form: this Go release may be newer than this buildpack")
	}
	return object(archive[i+len(end):]), nil
}
