package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

// The peer that does the most similar thing. The module in orchestrion/ pins its
// version; the go command fetches and builds it.
const orchestrionModule = "github.com/DataDog/orchestrion"

// orchestrionTool configures no integrations.
const orchestrionTool = `//go:build tools

package tools

import _ "` + orchestrionModule + `"
`

// pinsDir returns the directory of the module that pins the version.
func pinsDir() (string, error) {
	root, err := machine.Checkout("")
	return filepath.Join(root, "test", "bench", "orchestrion"), err
}

// pin generates an app and lets it depend on Orchestrion, as it must to be built
// by it. That raises the versions of some of its modules.
func (l *lab) pin(ctx context.Context, s shape) (app, error) {
	s.name += "-pinned"
	done := filepath.Join(l.tmp, "apps", s.name, "pinned")
	a, err := l.generate(s)
	if err != nil {
		return a, err
	}
	saved := filepath.Join(l.tmp, s.name+".mod")
	if _, err := os.Stat(done); err != nil {
		pins, err := pinsDir()
		if err != nil {
			return a, err
		}
		version, err := l.output(ctx, pins, l.environ, l.gocmd(), "list", "-m", "-f", "{{.Version}}", orchestrionModule)
		if err != nil {
			return a, err
		}
		l.say("making %s depend on Orchestrion %s", s.name, strings.TrimSpace(version))
		env := append(append([]string{}, l.environ...), "GOFLAGS=-mod=mod")
		if _, err := l.output(ctx, a.dir, env, l.gocmd(), "get", orchestrionModule+"@"+strings.TrimSpace(version)); err != nil {
			return a, err
		}
		// The sums of the modules whose versions that has raised.
		if _, err := l.output(ctx, a.dir, env, l.gocmd(), "list", "-deps", "./..."); err != nil {
			return a, err
		}
		if err := os.Rename(filepath.Join(a.dir, "go.mod"), saved); err != nil {
			return a, err
		}
		if err := os.Rename(filepath.Join(a.dir, "go.sum"), saved+".sum"); err != nil {
			return a, err
		}
		if err := os.WriteFile(done, nil, 0o666); err != nil {
			return a, err
		}
	}
	for name, file := range map[string]string{"go.mod": saved, "go.sum": saved + ".sum"} {
		b, err := os.ReadFile(file)
		if err != nil {
			return a, err
		}
		a.files[name] = string(b)
	}
	a.files["orchestrion.tool.go"] = orchestrionTool
	return a, a.write()
}

// orchestrionInstall builds Orchestrion and returns a build with it.
func (l *lab) orchestrionInstall(ctx context.Context) (func(context.Context, *builder) (took, error), error) {
	program := filepath.Join(l.tmp, "orchestrion")
	if _, err := os.Stat(program); err != nil {
		l.say("building Orchestrion, not timed; the first time takes minutes")
		pins, err := pinsDir()
		if err != nil {
			return nil, err
		}
		env := append(append([]string{}, l.environ...), "GOCACHE="+filepath.Join(l.cache, "warm"))
		if _, err := l.output(ctx, pins, env, l.gocmd(), "build", "-o", program, orchestrionModule); err != nil {
			return nil, fmt.Errorf("building Orchestrion: %w", err)
		}
	}
	return func(ctx context.Context, b *builder) (took, error) {
		env := append(append([]string{}, b.env...), "GOCACHE="+b.gocache, "GOBIN="+b.bin)
		return l.run(ctx, b.app.dir, env, program, "go", "install", "-tags", "heroku", "./...")
	}, nil
}
