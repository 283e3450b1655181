package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
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

// A sourcePackage is a package of the agent, ours or of a module that we need.
type sourcePackage struct{ path, dir, module, version string }

// ours reports whether the package is of the staged module.
func (p sourcePackage) ours() bool { return p.version == "" }

// shaded returns the import path that the package gets.
func (p sourcePackage) shaded() string {
	path := p.path
	if p.ours() {
		path = strings.TrimPrefix(path, p.module+"/")
	}
	if path == regexpStandIn {
		return shadedRegexp
	}
	return shadedRoot + "/" + path
}

// shade makes sure that the stage's directory shaded holds a module of the agent
// and the third-party packages under it, imports rewritten.
func (b builder) shade() error {
	shaded := b.stage.path("shaded")
	if isWhole(shaded) {
		return nil
	}
	pkgs, err := b.sourcePackages()
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(b.stage.dir, "shaded.*.tmp")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := rewrite(tmp, pkgs); err != nil {
		return fmt.Errorf("staging the agent: %w", err)
	}
	modules, err := b.stage.moduleList(pkgs)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tmp, "modules"), []byte(modules), 0o666); err != nil {
		return err
	}
	// Language features that the go lines of the originals would switch on are not
	// needed: what is staged compiles as Go 1.18.
	if err := os.WriteFile(filepath.Join(tmp, "go.mod"), []byte("module "+shadedRoot+"\n\ngo 1.18\n"), 0o666); err != nil {
		return err
	}
	sums, err := fileSums(tmp)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(tmp, sumsFile), []byte(sums), 0o666); err != nil {
		return err
	}
	// What is there was damaged, by a crash or by the cache.
	if err := os.RemoveAll(shaded); err != nil {
		return err
	}
	if err := os.Rename(tmp, shaded); err != nil && !isWhole(shaded) {
		return err
	}
	// Builds that were killed have left some.
	old, _ := filepath.Glob(filepath.Join(b.stage.dir, "shaded.*.tmp"))
	for _, dir := range old {
		os.RemoveAll(dir)
	}
	return nil
}

// sourcePackages asks the go command for the agent's packages. It fetches the
// modules through the app's own GOPROXY and checks them against our go.sum, or
// finds them in the directory vendor that bin/package made.
func (b builder) sourcePackages() ([]sourcePackage, error) {
	src := b.stage.path("src")
	mod := "-mod=readonly"
	if exists(filepath.Join(src, "vendor")) {
		mod = "-mod=vendor"
	}
	out, err := b.goCommand(src, moduleEnv, fetchTimeout, "list", mod, "-deps", "-f",
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
		return nil, fmt.Errorf("fetching the agent's modules: %s: %s", reason, remedy)
	}
	var pkgs []sourcePackage
	for _, line := range strings.Split(out, "\n") {
		if f := strings.Split(line, "\t"); len(f) == 4 {
			pkgs = append(pkgs, sourcePackage{f[0], f[1], f[2], f[3]})
		}
	}
	return pkgs, nil
}

// usageFile is a file of envconfig that prints help, and alone needs
// text/template: a second of every app's first build for nothing.
const usageFile = "envconfig/usage.go"

// rewrite copies the packages' Go files, for every platform, into dir.
func rewrite(dir string, pkgs []sourcePackage) error {
	// Only an import declaration holds the whole path as one string.
	var paths []string
	for _, p := range pkgs {
		paths = append(paths, `"`+p.path+`"`, `"`+p.shaded()+`"`)
	}
	ours := strings.NewReplacer(paths...)
	thirdParty := strings.NewReplacer(append(paths, `"regexp"`, `"`+shadedRegexp+`"`)...)
	for _, p := range pkgs {
		imports := thirdParty
		if p.ours() {
			imports = ours
		}
		to := filepath.Join(dir, strings.TrimPrefix(p.shaded(), shadedRoot+"/"))
		if err := os.MkdirAll(to, 0o777); err != nil {
			return err
		}
		files, err := os.ReadDir(p.dir)
		if err != nil {
			return err
		}
		for _, f := range files {
			name := filepath.Join(p.dir, f.Name())
			if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || strings.HasSuffix(to+"/"+f.Name(), usageFile) {
				continue
			}
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(to, f.Name()), []byte(imports.Replace(string(b))), 0o666); err != nil {
				return err
			}
		}
	}
	return nil
}

// moduleList returns the packages' modules in the form that importConfig.describe
// takes, a line each, the buildpack's own first.
func (s stage) moduleList(pkgs []sourcePackage) (string, error) {
	sums, err := os.ReadFile(s.path("src", "go.sum"))
	if err != nil {
		return "", err
	}
	version, err := s.version()
	if err != nil {
		return "", err
	}
	list := buildpackModule + "\t" + version + "\n"
	for _, p := range pkgs {
		if m := p.module + "\t" + p.version + "\t" + moduleSum(string(sums), p.module, p.version) + "\n"; !p.ours() && !strings.Contains(list, m) {
			list += m
		}
	}
	return list, nil
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

// sumsFile, in the directory shaded, lists the files there and their hashes.
const sumsFile = "sums"

func fileSums(dir string) (string, error) {
	var sums strings.Builder
	err := filepath.Walk(dir, func(name string, info os.FileInfo, err error) error {
		if err != nil || info.IsDir() {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is no regular file", name)
		}
		if name == filepath.Join(dir, sumsFile) {
			return nil
		}
		b, err := os.ReadFile(name)
		fmt.Fprintf(&sums, "%x %s\n", sha256.Sum256(b), name[len(dir)+1:])
		return err
	})
	return sums.String(), err
}

// isWhole reports whether the directory shaded holds just what shade wrote.
func isWhole(shaded string) bool {
	have, err := fileSums(shaded)
	if err != nil {
		return false
	}
	want, err := os.ReadFile(filepath.Join(shaded, sumsFile))
	return err == nil && have == string(want)
}

// modules returns what moduleList returned.
func (s stage) modules() ([]string, error) {
	b, err := os.ReadFile(s.path("shaded", "modules"))
	return strings.Split(strings.TrimSpace(string(b)), "\n"), err
}
