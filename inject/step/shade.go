package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/gocmd"
	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/program"
)

// The linker accepts one archive per import path. The injected copies of the agent and its
// modules get import paths under shadedRoot, so that an app keeps its own versions of them.
// No module can be fetched from there: there is no top-level domain "injected".
const (
	shadedRoot  = "hmetrics.injected"
	shadedStart = shadedRoot + "/agent/internal/start"

	// The agent's package that replaces regexp in third-party packages. They cannot import
	// it under its own path, which is internal.
	regexpStandIn = "agent/internal/regexp"
	shadedRegexp  = shadedRoot + "/regexp"
)

// A sourcePackage is a package of the agent or of a module that it needs.
type sourcePackage struct {
	path, dir string
	ours      bool // in the staged module
}

// shaded returns the import path that the package gets.
func (p sourcePackage) shaded() string {
	path := strings.TrimPrefix(p.path, program.Module+"/")
	if path == regexpStandIn {
		return shadedRegexp
	}
	return shadedRoot + "/" + path
}

// shade writes the stage's directory shaded: a module with the agent and the third-party
// packages that it needs, with rewritten imports. The caller holds the lock. shade does not
// trust existing files, which a killed build or the cache may have left.
func (s step) shade(flags gocmd.Flags) error {
	pkgs, err := s.sourcePackages(flags)
	if err != nil {
		return err
	}
	shaded := s.stage.Path("shaded")
	if err := os.RemoveAll(shaded); err != nil {
		return err
	}
	if err := rewrite(shaded, pkgs); err != nil {
		return fmt.Errorf("staging the agent: %w", err)
	}
	// The staged packages compile as Go 1.18. They do not need the language features of
	// the original go lines.
	return os.WriteFile(filepath.Join(shaded, "go.mod"), []byte("module "+shadedRoot+"\n\ngo 1.18\n"), 0o666)
}

// sourcePackages asks the go command for the agent's packages. The go command fetches the
// modules through the app's own GOPROXY and checks them against this module's go.sum, or
// finds them in the directory vendor that bin/package wrote.
func (s step) sourcePackages(flags gocmd.Flags) ([]sourcePackage, error) {
	src := s.stage.Path("src")
	mod := "-mod=readonly"
	if exists(filepath.Join(src, "vendor")) {
		mod = "-mod=vendor"
	}
	args := []string{"list", mod, "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}\t{{.Dir}}{{end}}"}
	if flags.Last("modcacherw") == "true" {
		args = append(args, "-modcacherw")
	}
	out, err := s.runGo(src, moduleEnv, fetchTimeout, append(args, "./agent/internal/start", "./"+regexpStandIn)...)
	if err != nil {
		reason := err.Error()
		// The position in the agent's sources does not matter.
		if i := strings.Index(reason, ": "); i >= 0 && strings.Contains(reason[:i], ".go:") && !strings.Contains(reason[:i], " ") {
			reason = reason[i+2:]
		}
		remedy := "check GOPROXY and the network of the build"
		if strings.Contains(reason, "checksum mismatch") {
			remedy = "GOPROXY serves code that differs from the agent's release: use another proxy"
		}
		return nil, fmt.Errorf("fetching the agent's modules: %s: %s", reason, remedy)
	}
	var pkgs []sourcePackage
	for _, line := range strings.Split(out, "\n") {
		if f := strings.Split(line, "\t"); len(f) == 2 {
			pkgs = append(pkgs, sourcePackage{f[0], f[1], strings.HasPrefix(f[0], program.Module+"/")})
		}
	}
	return pkgs, nil
}

// usageFile is the file of envconfig that prints help. Only it needs text/template, which
// would cost a second of every app's first build.
const usageFile = "envconfig/usage.go"

// rewrite copies the packages' Go files, for every platform, into dir.
func rewrite(dir string, pkgs []sourcePackage) error {
	// Only import declarations have the whole path as one string.
	var paths []string
	for _, p := range pkgs {
		paths = append(paths, `"`+p.path+`"`, `"`+p.shaded()+`"`)
	}
	ours := strings.NewReplacer(paths...)
	thirdParty := strings.NewReplacer(append(paths, `"regexp"`, `"`+shadedRegexp+`"`)...)
	for _, p := range pkgs {
		imports := thirdParty
		if p.ours {
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
