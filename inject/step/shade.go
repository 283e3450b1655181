package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/gocmd"
	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/program"
)

// The linker holds one archive per import path. So that an app keeps its own
// version of whatever the agent uses, and of the agent itself, the injected
// copies get import paths under this one. No module can be fetched by it: there
// is no top-level domain "injected".
const (
	shadedRoot  = "hmetrics.injected"
	shadedStart = shadedRoot + "/agent/internal/start"

	// A package of ours that takes the place of regexp in third-party ones,
	// which could not import it where it is.
	regexpStandIn = "agent/internal/regexp"
	shadedRegexp  = shadedRoot + "/regexp"
)

// A sourcePackage is a package of the agent, ours or of a module that we need.
type sourcePackage struct {
	path, dir string
	ours      bool // of the staged module
}

// shaded returns the import path that the package gets.
func (p sourcePackage) shaded() string {
	path := strings.TrimPrefix(p.path, program.Module+"/")
	if path == regexpStandIn {
		return shadedRegexp
	}
	return shadedRoot + "/" + path
}

// shade makes the stage's directory shaded a module of the agent and the
// third-party packages under it, imports rewritten. The caller holds the lock. What
// is there is not trusted: a build that was killed, or the cache, has left it.
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
	// Language features that the go lines of the originals would switch on are not
	// needed: what is staged compiles as Go 1.18.
	return os.WriteFile(filepath.Join(shaded, "go.mod"), []byte("module "+shadedRoot+"\n\ngo 1.18\n"), 0o666)
}

// sourcePackages asks the go command for the agent's packages. It fetches the
// modules through the app's own GOPROXY and checks them against our go.sum, or
// finds them in the directory vendor that bin/package made.
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
		if f := strings.Split(line, "\t"); len(f) == 2 {
			pkgs = append(pkgs, sourcePackage{f[0], f[1], strings.HasPrefix(f[0], program.Module+"/")})
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
