package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/gocmd"
	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/program"
)

// reproduce returns flags and environment with which the go command, without the
// agent, makes this very program, byte for byte. Build information alone would not
// do: it lacks some flags, and the sources may have changed since.
func (r *rebuilder) reproduce(b *binary) (flags, env []string, err error) {
	want, err := os.ReadFile(filepath.Join(r.bin, b.names[0]))
	if err != nil {
		return nil, nil, err
	}
	recorded, env := r.recorded(b)
	// Not recorded are GOFLAGS, which a hook of the app may have taken away, and under
	// -trimpath the -ldflags that heroku/go may have given.
	goflags := []string{withoutBuildpack(gocmd.Getenv(r.env, "GOFLAGS"))}
	if goflags[0] != "" {
		goflags = append(goflags, "-v=false") // an empty one is taken from go env -w
	}
	ldflags := [][]string{nil}
	if symbol, value := gocmd.Getenv(r.env, "GO_LINKER_SYMBOL"), gocmd.Getenv(r.env, "GO_LINKER_VALUE"); symbol != "" && value != "" && program.Setting(b.build, "-ldflags") == "" {
		ldflags = [][]string{{"-ldflags=-X " + symbol + "=" + value}, nil}
	}
	made := filepath.Join(r.work, "reference")
	defer os.Remove(made)
	var failed error
	for _, g := range goflags {
		for _, l := range ldflags {
			flags := append(recorded[:len(recorded):len(recorded)], l...)
			env := gocmd.Setenv(env, "GOFLAGS="+g)
			// The go command leaves alone what is there and up to date.
			os.Remove(made)
			if err := r.goBuild(b, made, gocmd.Setenv(env, "HMETRICS_INJECT=off"), flags); err != nil {
				if failed == nil {
					failed = fmt.Errorf("it cannot be built again: %w", err)
				}
				continue
			}
			if have, err := os.ReadFile(made); err == nil && bytes.Equal(have, want) {
				return flags, env, nil
			}
		}
	}
	if failed == nil {
		failed = errors.New("building it again makes another program: it was changed after the build (stripped, packed), or its sources or settings were")
	}
	return nil, nil, failed
}

// recorded returns the flags and the environment that a program's build information
// tells of.
func (r *rebuilder) recorded(b *binary) (flags, env []string) {
	for _, s := range b.build.Settings {
		switch {
		case s.Key == "-buildmode" && s.Value == "exe":
			// So it is called if it is not given, and given it makes another build ID.
		case s.Key == "-pgo" && filepath.IsAbs(s.Value), gocmd.IsRecorded(s.Key):
			flags = append(flags, s.Key+"="+s.Value)
		case gocmd.IsRecordedVariable(s.Key):
			env = append(env, s.Key+"="+s.Value)
		}
	}
	if program.Setting(b.build, "vcs") == "" {
		flags = append(flags, "-buildvcs=false")
	}
	// heroku/go's own rule.
	vendor, err := os.Stat(filepath.Join(r.app, "vendor"))
	if err == nil && vendor.IsDir() && r.modules[b.build.Main.Path] == filepath.Clean(r.app) {
		if sum, err := os.Stat(filepath.Join(r.app, "go.sum")); err == nil && sum.Size() > 0 {
			flags = append(flags, "-mod=vendor")
		}
	}
	return flags, env
}

// overlay returns a file for -overlay, with which the main package has one more
// file. Without it the go command would take the package as the Go buildpack has
// compiled it, without the hook, from its cache. What GOFLAGS overlays stays.
func (r *rebuilder) overlay(b *binary, goflags string) (name string, err error) {
	overlay := struct{ Replace map[string]string }{make(map[string]string)}
	words, err := gocmd.SplitQuoted(goflags)
	if err != nil {
		return "", err
	}
	for _, word := range words {
		if flag, value, _, _ := gocmd.CutFlag(word); flag == "overlay" {
			data, err := os.ReadFile(value)
			if err == nil {
				err = json.Unmarshal(data, &overlay)
			}
			if err != nil {
				return "", fmt.Errorf("reading the -overlay of GOFLAGS: %w", err)
			}
		}
	}
	p := r.program(b)
	source := filepath.Join(r.work, "overlay.go")
	overlay.Replace[filepath.Join(r.modules[p.Module], p.Relative, "hmetrics_"+r.stage.ID()+".go")] = source
	data, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(source, []byte("package main\n"), 0o666); err != nil {
		return "", err
	}
	name = filepath.Join(r.work, "overlay.json")
	return name, os.WriteFile(name, data, 0o666)
}

// withoutBuildpack returns a value of GOFLAGS without the -toolexec of a copy of
// this buildpack that came before the Go buildpack. A -toolexec of the user's
// own stays.
func withoutBuildpack(goflags string) string {
	words, err := gocmd.SplitQuoted(goflags)
	if err != nil {
		return goflags
	}
	for _, word := range words {
		name, program, _, ok := gocmd.CutFlag(word)
		if !ok || name != "toolexec" || !strings.HasSuffix(program, "/bin/toolexec") {
			continue
		}
		if b, err := os.ReadFile(program); err == nil && bytes.Contains(b, []byte("HMETRICS_STAGE")) {
			goflags = strings.Replace(goflags, word, "", 1)
		}
	}
	return strings.TrimSpace(goflags)
}
