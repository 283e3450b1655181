package main

import (
	"runtime/debug"
	"strconv"
	"strings"
)

// An importConfig is the file that the go command hands to the compiler and
// the linker (-importcfg): one line "packagefile path=archive" for every
// package that the step may read, and lines of other kinds, which are kept.
type importConfig struct {
	lines    []string
	archives map[string]string // by import path
}

func parseImportConfig(data string) importConfig {
	c := importConfig{archives: make(map[string]string)}
	c.lines = strings.Split(strings.TrimSuffix(data, "\n"), "\n")
	for _, line := range c.lines {
		const verb = "packagefile "
		if !strings.HasPrefix(line, verb) {
			continue
		}
		if i := strings.IndexByte(line, '='); i >= 0 {
			c.archives[strings.TrimSpace(line[len(verb):i])] = line[i+1:]
		}
	}
	return c
}

func (c *importConfig) add(path, archive string) {
	c.archives[path] = archive
	c.lines = append(c.lines, "packagefile "+path+"="+archive)
}

// replace sets another archive for a package that is there.
func (c *importConfig) replace(path, archive string) {
	for i, line := range c.lines {
		if line == "packagefile "+path+"="+c.archives[path] {
			c.lines[i] = "packagefile " + path + "=" + archive
		}
	}
	c.archives[path] = archive
}

func (c *importConfig) String() string { return strings.Join(c.lines, "\n") + "\n" }

// The linker finds the build information in the line "modinfo", between two
// marks of 16 bytes (debug/buildinfo looks for the same ones in the binary).
const modInfoMark = 16

// describe adds modules, "path\tversion\tsum" each, and settings, "key=value"
// each, to the build information that the binary will carry, so that those who
// read it (go version -m, vulnerability scanners) see what was linked and why.
func (c *importConfig) describe(modules, settings []string) {
	for i, line := range c.lines {
		const verb = "modinfo "
		if !strings.HasPrefix(line, verb) {
			continue
		}
		info, err := strconv.Unquote(line[len(verb):])
		if err != nil || len(info) < 2*modInfoMark {
			return
		}
		body := info[modInfoMark : len(info)-modInfoMark]
		at := len(body)
		if j := strings.Index(body, "\nbuild\t"); j >= 0 {
			at = j + 1
		}
		var b strings.Builder
		b.WriteString(info[:modInfoMark] + body[:at])
		for _, m := range modules {
			b.WriteString("dep\t" + m + "\n")
		}
		b.WriteString(body[at:])
		for _, s := range settings {
			b.WriteString("build\t" + s + "\n")
		}
		b.WriteString(info[len(info)-modInfoMark:])
		c.lines[i] = verb + strconv.Quote(b.String())
		return
	}
}

// buildInfo returns what the line "modinfo" holds, which is empty in a build that
// has none.
func (c *importConfig) buildInfo() *debug.BuildInfo {
	for _, line := range c.lines {
		text, err := strconv.Unquote(strings.TrimPrefix(line, "modinfo "))
		if err != nil || len(text) < 2*modInfoMark {
			continue
		}
		if info, err := debug.ParseBuildInfo(text[modInfoMark : len(text)-modInfoMark]); err == nil {
			return info
		}
	}
	return &debug.BuildInfo{Path: importPath()}
}

// first returns the first of the packages that the program has, or "".
func (c *importConfig) first(packages []string) string {
	for _, path := range packages {
		if c.archives[path] != "" {
			return path
		}
	}
	return ""
}
