package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// The linker holds one archive per import path. So that an app keeps its own
// version of whatever the agent uses, and of the agent itself, the injected
// copies get import paths under this one. No module can be fetched by it: there
// is no top-level domain "injected".
const (
	shadedRoot   = "hmetrics.injected"
	shadedOnload = shadedRoot + "/agent/onload"

	// A package of ours that takes the place of regexp in third-party ones,
	// which could not import it where it is.
	regexpStandIn = "agent/internal/regexp"
	shadedRegexp  = shadedRoot + "/regexp"
)

// shade fills the stage's directory shaded with a module that holds the agent
// and the third-party packages under it, imports rewritten. The go command
// fetches those through the app's own GOPROXY and checks them against our
// go.sum, or finds them in the directory vendor that bin/package made.
func (s stage) shade(g goTool) error {
	if s.shadedWhole() {
		return nil
	}
	src := s.path("src")
	mod := "-mod=readonly"
	if exists(s.path("src", "vendor")) {
		mod = "-mod=vendor"
	}
	out, err := g.preflight(src, fetchTimeout, "list", mod, "-deps", "-f",
		"{{if not .Standard}}{{.ImportPath}}\t{{.Dir}}\t{{.Module.Path}}\t{{.Module.Version}}{{end}}", "./agent/onload", "./"+regexpStandIn)
	if err != nil {
		reason := err.Error()
		// Where in the agent's sources a module is needed does not matter.
		if i := strings.Index(reason, ": "); i >= 0 && strings.Contains(reason[:i], ".go:") && !strings.Contains(reason[:i], " ") {
			reason = reason[i+2:]
		}
		remedy := "check GOPROXY and the network of the build"
		if strings.Contains(reason, "checksum mismatch") {
			remedy = "GOPROXY serves other code than the agent was released with: build through another"
		}
		return fmt.Errorf("fetching its modules: %s: %s", reason, remedy)
	}
	type pkg struct{ path, dir, module, version string }
	var pkgs []pkg
	var rewrites []string
	module := ""
	for _, line := range strings.Split(out, "\n") {
		f := strings.Split(line, "\t")
		if len(f) != 4 {
			continue
		}
		p := pkg{f[0], f[1], f[2], f[3]}
		if p.version == "" {
			module = p.module
		}
		pkgs = append(pkgs, p)
	}
	shaded := func(p pkg) string {
		if p.path == module+"/"+regexpStandIn {
			return shadedRegexp
		}
		return shadedRoot + "/" + strings.TrimPrefix(p.path, module+"/")
	}
	for _, p := range pkgs {
		// Only an import declaration holds the whole path as one string.
		rewrites = append(rewrites, `"`+p.path+`"`, `"`+shaded(p)+`"`)
	}
	own := strings.NewReplacer(rewrites...)
	thirdParty := strings.NewReplacer(append(rewrites, `"regexp"`, `"`+shadedRegexp+`"`)...)

	tmp, err := os.MkdirTemp(s.dir, "shaded.*.tmp")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for _, p := range pkgs {
		rewrite := thirdParty
		if p.module == module {
			rewrite = own
		}
		if err := copySources(filepath.Join(tmp, strings.TrimPrefix(shaded(p), shadedRoot+"/")), p.dir, rewrite); err != nil {
			return fmt.Errorf("staging %s: %w", p.path, err)
		}
	}

	sums, err := os.ReadFile(filepath.Join(src, "go.sum"))
	if err != nil {
		return err
	}
	version, err := s.version()
	if err != nil {
		return err
	}
	modules := []string{module + "\t" + version}
	for _, p := range pkgs {
		m := p.module + "\t" + p.version + "\t" + moduleSum(string(sums), p.module, p.version)
		if p.version != "" && !contains(modules, m) {
			modules = append(modules, m)
		}
	}
	if err := os.WriteFile(filepath.Join(tmp, "modules"), []byte(strings.Join(modules, "\n")+"\n"), 0o666); err != nil {
		return err
	}
	// Language features that the go lines of the originals would switch on
	// are not needed: what is staged compiles as Go 1.18.
	gomod := "module " + shadedRoot + "\n\ngo 1.18\n"
	if err := os.WriteFile(filepath.Join(tmp, "go.mod"), []byte(gomod), 0o666); err != nil {
		return err
	}
	if err := writeFileSizes(tmp); err != nil {
		return err
	}
	err = os.Rename(tmp, s.path("shaded"))
	if err == nil || s.shadedWhole() {
		return nil // or another go command was faster
	}
	// What is there was damaged, by a crash or by the cache.
	if err := os.RemoveAll(s.path("shaded")); err != nil {
		return err
	}
	if err = os.Rename(tmp, s.path("shaded")); err == nil || s.shadedWhole() {
		return nil
	}
	return err
}

// fileSizes lists the files of the directory shaded, "size path" in a line.
const fileSizes = "files"

func writeFileSizes(dir string) error {
	var b strings.Builder
	err := filepath.Walk(dir, func(name string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			fmt.Fprintf(&b, "%d %s\n", info.Size(), name[len(dir)+1:])
		}
		return err
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, fileSizes), []byte(b.String()+"end\n"), 0o666)
}

// shadedWhole reports whether the directory shaded holds all that shade wrote.
func (s stage) shadedWhole() bool {
	b, err := os.ReadFile(s.path("shaded", fileSizes))
	lines := strings.Split(string(b), "\n")
	if err != nil || len(lines) < 2 || lines[len(lines)-2] != "end" {
		return false
	}
	for _, line := range lines[:len(lines)-2] {
		f := strings.SplitN(line, " ", 2)
		if len(f) != 2 {
			return false
		}
		info, err := os.Stat(s.path("shaded", f[1]))
		if err != nil || strconv.FormatInt(info.Size(), 10) != f[0] {
			return false
		}
	}
	return true
}

// usageFile is a file of envconfig that prints help, and alone needs
// text/template: a second of every app's first build for nothing.
const usageFile = "envconfig/usage.go"

// copySources copies the Go files of one package, for every platform.
func copySources(dst, src string, rewrite *strings.Replacer) error {
	if err := os.MkdirAll(dst, 0o777); err != nil {
		return err
	}
	entries, err := os.ReadDir(src)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") ||
			strings.HasSuffix(filepath.Join(dst, e.Name()), usageFile) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(src, e.Name()))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dst, e.Name()), []byte(rewrite.Replace(string(b))), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// moduleSum returns the hash of a module version from the text of a go.sum.
func moduleSum(sums, module, version string) string {
	prefix := module + " " + version + " "
	for _, line := range strings.Split(sums, "\n") {
		if strings.HasPrefix(line, prefix) {
			return line[len(prefix):]
		}
	}
	return ""
}

// modules returns what shade wrote for importConfig.describe.
func (s stage) modules() ([]string, error) {
	b, err := os.ReadFile(s.path("shaded", "modules"))
	return strings.Split(strings.TrimSpace(string(b)), "\n"), err
}

// version returns the buildpack's version as a module version.
func (s stage) version() (string, error) {
	const file, key = "buildpack.toml", "version = "
	b, err := os.ReadFile(s.path("src", file))
	if err != nil {
		return "", err
	}
	for _, line := range strings.Split(string(b), "\n") {
		if strings.HasPrefix(line, key) {
			return "v" + strings.Trim(line[len(key):], `" `), nil
		}
	}
	return "", fmt.Errorf("%s: no line %q", file, key+`"…"`)
}
