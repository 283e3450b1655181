package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/gocmd"
)

// againstFormat prints a package's import path, whether it is in the standard library, and its
// files, unless it needs a C compiler.
const againstFormat = "{{.ImportPath}}\t{{.Standard}}{{if not .CgoFiles}}{{range .GoFiles}}\t{{$.Dir}}/{{.}}{{end}}{{range .SFiles}}\t{{$.Dir}}/{{.}}{{end}}{{end}}"

// compileAgainst compiles the agent's packages against the program's archives of the standard
// library, which the user's -toolexec changed. That tool does not run for the agent. What is
// compiled is in the step's work directory, so each link compiles it.
func (s step) compileAgainst(app *importConfig, flags gocmd.Flags) (map[string]string, error) {
	if err := s.shade(flags); err != nil {
		return nil, err
	}
	shaded, dir := s.stage.Path("shaded"), filepath.Dir(value(s.args, "-importcfg"))
	args := append([]string{"list", "-deps"}, flags.Archive...)
	out, err := s.runGo(shaded, moduleEnv, fetchTimeout, append(args, "-f", againstFormat, shadedStart)...)
	if err != nil {
		return nil, err
	}
	config, key := parseImportConfig(""), []string{s.stage.ID(), s.compilerKey(), fmt.Sprint(isShared(s.args), flags.Archive)}
	var lacks [][]string // packages, as the format prints them
	for _, line := range strings.Split(strings.TrimSpace(out), "\n") {
		words := strings.Split(line, "\t")
		path, archive := words[0], app.archives[words[0]]
		if path == "unsafe" {
			continue
		}
		if archive != "" {
			id, err := buildID(archive)
			if err != nil {
				return nil, err
			}
			config.set(path, archive)
			key = append(key, id)
		} else if files, ok := withoutAssembly(words[2:]); ok {
			config.set(path, filepath.Join(dir, fmt.Sprintf("hmetrics%d.a", len(lacks))))
			lacks = append(lacks, append(words[:2], files...))
		}
	}
	importcfg := filepath.Join(dir, "hmetrics.cfg")
	if err := os.WriteFile(importcfg, []byte(config.String()), 0o666); err != nil {
		return nil, err
	}
	id := hash(key...)
	for _, words := range lacks {
		path, files := words[0], words[2:]
		standard := words[1] == "true"
		args := []string{"-o", config.archives[path], "-p", path, "-importcfg", importcfg, "-buildid", id + "/" + id, "-pack"}
		for flag, set := range map[string]bool{
			"-std": standard, "-lang=go1.18": !standard, "-complete": !standard, "-dwarf=false": !standard, "-shared": isShared(s.args),
			// What the user's -toolexec adds to the program must be able to share it.
			"-trimpath=" + filepath.Dir(files[0]) + "=>" + path: !standard || flags.Last("trimpath") == "true",
			"-race": flags.Last("race") == "true", "-msan": flags.Last("msan") == "true", "-asan": flags.Last("asan") == "true",
		} {
			if set {
				args = append(args, flag)
			}
		}
		if err := s.runCompiler(path, append(args, files...)); err != nil {
			return nil, err
		}
	}
	return config.archives, nil
}

// withoutAssembly returns the Go files of a package, and whether they make it alone: a file
// without assembly code only allows functions without a body.
func withoutAssembly(files []string) (goFiles []string, ok bool) {
	for _, file := range files {
		if strings.HasSuffix(file, ".go") {
			goFiles = append(goFiles, file)
		} else if code, err := os.ReadFile(file); err != nil || bytes.Contains(code, []byte("TEXT")) {
			return nil, false
		}
	}
	return goFiles, len(goFiles) > 0
}
