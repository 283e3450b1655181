package main

import (
	"runtime/debug"
	"strconv"
	"strings"
)

// An importConfig is the file that the go command passes to the compiler and the linker
// (-importcfg): a line "packagefile path=archive" for every package that the step may read,
// and lines of other kinds, which stay unchanged.
type importConfig struct {
	lines    []string
	archives map[string]string // by import path
	ownHook  bool              // the app has a package with the hook's import path
}

func parseImportConfig(data string) importConfig {
	c := importConfig{archives: make(map[string]string)}
	c.lines = strings.Split(strings.TrimSuffix(data, "\n"), "\n")
	for _, line := range c.lines {
		path, archive, ok := strings.Cut(line, "=")
		if ok && strings.HasPrefix(path, "packagefile ") {
			c.archives[strings.TrimSpace(path[len("packagefile "):])] = archive
		}
	}
	return c
}

// set adds a package, or replaces the one with this path.
func (c *importConfig) set(path, archive string) {
	was := "packagefile " + path + "=" + c.archives[path]
	c.archives[path] = archive
	for i, line := range c.lines {
		if line == was {
			c.lines[i] = "packagefile " + path + "=" + archive
			return
		}
	}
	c.lines = append(c.lines, "packagefile "+path+"="+archive)
}

func (c *importConfig) String() string { return strings.Join(c.lines, "\n") + "\n" }

// The linker finds the build information in the line "modinfo", between two marks of 16
// bytes (debug/buildinfo looks for the same marks in the program).
const modInfoMark = 16

// describe adds modules, "path\tversion\tsum" each, and settings, "key=value" each, to the
// program's build information. Its readers (go version -m, vulnerability scanners) then see
// what was linked and why.
func (c *importConfig) describe(modules, settings []string) {
	for i, line := range c.lines {
		head, info, tail, ok := modInfo(line)
		if !ok {
			continue
		}
		at := len(info)
		if j := strings.Index(info, "\nbuild\t"); j >= 0 {
			at = j + 1
		}
		deps, build := info[:at], info[at:]
		for _, m := range modules {
			// The app may have the same version of the module, without a hash if it is
			// vendored or replaced.
			f := strings.Split(m, "\t")
			name := "\ndep\t" + f[0] + "\t" + f[1]
			if !strings.Contains(deps, name+"\t") && !strings.Contains(deps, name+"\n") {
				deps += "dep\t" + m + "\n"
			}
		}
		for _, s := range settings {
			build += "build\t" + s + "\n"
		}
		c.lines[i] = "modinfo " + strconv.Quote(head+deps+build+tail)
	}
}

// buildInfo returns the content of the line "modinfo". In a build without one, only its Path
// is set.
func (c *importConfig) buildInfo() *debug.BuildInfo {
	for _, line := range c.lines {
		if _, text, _, ok := modInfo(line); ok {
			if info, err := debug.ParseBuildInfo(text); err == nil {
				return info
			}
		}
	}
	return &debug.BuildInfo{Path: importPath()}
}

// modInfo returns the content of a line "modinfo", and the marks around it.
func modInfo(line string) (head, info, tail string, ok bool) {
	text, err := strconv.Unquote(strings.TrimPrefix(line, "modinfo "))
	end := len(text) - modInfoMark
	if err != nil || end < modInfoMark || !strings.HasPrefix(line, "modinfo ") {
		return "", "", "", false
	}
	return text[:modInfoMark], text[modInfoMark:end], text[end:], true
}

// first returns the first of these packages that the program has, or "".
func (c *importConfig) first(packages []string) string {
	for _, path := range packages {
		if c.archives[path] != "" {
			return path
		}
	}
	return ""
}
