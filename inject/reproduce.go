package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/gocmd"
	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/program"
	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/stage"
)

// A buildCommand is a go build of one program.
type buildCommand struct {
	dir      string
	env      []string // in addition to that of the Go buildpack
	goflags  string
	flags    []string
	packages []string // the program's package first
}

func (c buildCommand) environ() []string { return gocmd.Setenv(c.env, "GOFLAGS="+c.goflags) }

// goBuild builds a program and returns its name. It turns off -v and -x, which GOFLAGS may
// set, because their output would be mistaken for errors.
func (r *rebuilder) goBuild(c buildCommand) (name string, err error) {
	// The go command does not build a file that is up to date.
	out := filepath.Join(r.work, "out")
	if err := makeEmpty(out); err != nil {
		return "", err
	}
	args := append(append([]string{"build", "-v=false", "-x=false", "-o", out + "/"}, c.flags...), c.packages...)
	if _, err := r.goRun(c.dir, c.environ(), args...); err != nil {
		return "", err
	}
	made, err := filepath.Glob(filepath.Join(out, "*"))
	if err != nil || len(made) != 1 {
		return "", fmt.Errorf("go build made %d programs, not one (%v)", len(made), err)
	}
	return made[0], nil
}

// reproduce returns the command that builds exactly this program, byte for byte, without the
// agent. The build information alone is not enough: it lacks some flags, and the sources may
// have changed since.
func (r *rebuilder) reproduce(b *binary) (buildCommand, error) {
	want, err := os.ReadFile(b.names[0])
	if err != nil {
		return buildCommand{}, err
	}
	if err := r.layerCache(); err != nil {
		return buildCommand{}, err
	}
	var failed error
	for _, c := range r.commands(b) {
		made, err := r.goBuild(c)
		if err != nil {
			if failed == nil {
				failed = fmt.Errorf("it cannot be built again: %w", err)
			}
			continue
		}
		if have, err := os.ReadFile(made); err == nil && bytes.Equal(have, want) {
			return c, nil
		}
	}
	if failed == nil {
		failed = errors.New("building it again gives a different program: it was changed after the build (stripped, packed), or its sources or settings changed")
	}
	return buildCommand{}, failed
}

// commands returns the commands that may have built a program. Its build information does
// not record three things: GOFLAGS, which a hook of the app may have unset; under -trimpath,
// the -ldflags that heroku/go may have added; and the packages on the command line, which
// -gcflags and -asmflags without a pattern apply to.
func (r *rebuilder) commands(b *binary) (commands []buildCommand) {
	flags, env := r.recorded(b)
	dir := r.modules[b.build.Main.Path]
	env = append(env, "GOCACHE="+filepath.Join(r.work, stage.LayeredCache),
		"HMETRICS_REBUILD="+r.work, "HMETRICS_STAGE="+r.stage.Path(), "HMETRICS_INJECT=auto")
	if r.workspace != nil && !r.workspace[b.build.Main.Path] {
		env = append(env, "GOWORK=off")
	}
	// The GOFLAGS of go env -w is included: a variable would hide it.
	effective, err := r.goRun(r.app, nil, "env", "GOFLAGS")
	if err != nil {
		effective = gocmd.Getenv(r.env, "GOFLAGS")
	}
	goflags := []string{withoutBuildpack(effective)}
	if effective != "" {
		goflags = append(goflags, "-v=false") // if it were empty, go env -w would apply
	}
	ldflags := [][]string{nil}
	if symbol, value := gocmd.Getenv(r.env, "GO_LINKER_SYMBOL"), gocmd.Getenv(r.env, "GO_LINKER_VALUE"); symbol != "" && value != "" && program.Setting(b.build, "-ldflags") == "" {
		ldflags = [][]string{{"-ldflags=-X " + symbol + "=" + value}, nil}
	}
	packages := [][]string{{b.build.Path}}
	if strings.HasPrefix(program.Setting(b.build, "-gcflags"), "-") || strings.HasPrefix(program.Setting(b.build, "-asmflags"), "-") {
		args := append(append([]string{"list", "-f", "{{if ne .Name \"main\"}}{{.ImportPath}}{{end}}"}, flags...), "./...")
		if libraries, err := r.goRun(dir, env, args...); err == nil {
			packages = append(packages, append([]string{b.build.Path}, strings.Fields(libraries)...))
		}
	}
	for _, p := range packages {
		for _, g := range goflags {
			for _, l := range ldflags {
				commands = append(commands, buildCommand{dir, env, g, append(flags[:len(flags):len(flags)], l...), p})
			}
		}
	}
	return commands
}

// recorded returns the flags and the environment that a program's build information records.
func (r *rebuilder) recorded(b *binary) (flags, env []string) {
	for _, s := range b.build.Settings {
		switch {
		case s.Key == "-buildmode" && s.Value == "exe":
			// This is also recorded if the flag was not given, and giving it changes the build ID.
		case s.Key == "-tags":
			if tags := withoutFIPS(s.Value); tags != "" {
				flags = append(flags, "-tags="+tags)
			}
		case s.Key == "-pgo" && filepath.IsAbs(s.Value), gocmd.IsRecorded(s.Key):
			flags = append(flags, s.Key+"="+s.Value)
		case gocmd.IsRecordedVariable(s.Key):
			env = append(env, s.Key+"="+s.Value)
		}
	}
	if program.Setting(b.build, "vcs") == "" {
		flags = append(flags, "-buildvcs=false")
	}
	// This is heroku/go's own rule.
	vendor, err := os.Stat(filepath.Join(r.app, "vendor"))
	if err == nil && vendor.IsDir() && r.modules[b.build.Main.Path] == filepath.Clean(r.app) {
		if sum, err := os.Stat(filepath.Join(r.app, "go.sum")); err == nil && sum.Size() > 0 {
			flags = append(flags, "-mod=vendor")
		}
	}
	return flags, env
}

// withoutFIPS returns the tags of a program except the one that the go command adds for a
// release of GOFIPS140 (cmd/go/internal/fips140).
func withoutFIPS(tags string) string {
	var kept []string
	for _, tag := range strings.Split(tags, ",") {
		if !strings.HasPrefix(tag, "fips140v") {
			kept = append(kept, tag)
		}
	}
	return strings.Join(kept, ",")
}

// withoutBuildpack returns a value of GOFLAGS without the -toolexec of a copy of this
// buildpack that ran before the Go buildpack. The user's own -toolexec stays.
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
