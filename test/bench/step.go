package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// repeats is how many processes are timed on each side of a pair, so that their
// medians tell tens of microseconds apart.
const repeats = 1000

// steps measures bin/toolexec on a step that it hands on: it is shown the
// assembler's -V=full, which costs the tool itself next to nothing.
func steps(ctx context.Context, l *lab, pair int, m *meter) error {
	dir, err := l.dir("steps")
	if err != nil {
		return err
	}
	defer discard(dir)
	env, err := l.deploy(ctx, dir)
	if err != nil {
		return err
	}
	toolexec, err := toolexecOf(env)
	if err != nil {
		return err
	}
	tooldir, err := l.output(ctx, dir, l.environ, l.gocmd(), "env", "GOTOOLDIR")
	if err != nil {
		return err
	}
	tool := filepath.Join(strings.TrimSpace(tooldir), "asm")
	return alternate(ctx, m, "step", pair, repeats,
		side{buildpack, program(env, toolexec, tool, "-V=full")},
		side{plain, program(env, tool, "-V=full")})
}

// toolexecOf returns the program that GOFLAGS names in an environment.
func toolexecOf(env []string) (string, error) {
	for _, e := range env {
		if i := strings.Index(e, "-toolexec="); strings.HasPrefix(e, "GOFLAGS=") && i >= 0 {
			return strings.Fields(e[i+len("-toolexec="):])[0], nil
		}
	}
	return "", errors.New("the file export sets no -toolexec in GOFLAGS")
}

// starts measures from the exec to the exit of a program that returns from main
// at once, without HEROKU_METRICS_URL.
func starts(ctx context.Context, l *lab, pair int, m *meter) error {
	return l.onStarts(ctx, m, "start", func(name, against, ours, theirs string) error {
		return alternate(ctx, m, name, pair, repeats,
			side{buildpack, program(nil, ours, "exit")},
			side{against, program(nil, theirs, "exit")})
	})
}

// onStarts calls f with the binaries of both rows on start-up that are wanted.
func (l *lab) onStarts(ctx context.Context, m *meter, kind string, f func(name, against, ours, theirs string) error) error {
	for _, r := range []struct {
		name, against string
		shape, other  shape
	}{
		{kind + "/web", plain, webApp, webApp},
		{kind + "/worker", client, workerApp, workerApp.withClient()},
	} {
		if !m.wants(r.name) {
			continue
		}
		ours, err := l.binary(ctx, r.shape, buildpack)
		if err != nil {
			return err
		}
		theirs, err := l.binary(ctx, r.other, plain)
		if err != nil {
			return err
		}
		if err := f(r.name, r.against, ours, theirs); err != nil {
			return err
		}
	}
	return nil
}

// A side is one of two things that are timed in turn.
type side struct {
	name string
	run  func() error
}

// alternate times both sides n times in turn, each time in the other order.
func alternate(ctx context.Context, m *meter, name string, pair, n int, a, b side) error {
	times := map[string][]float64{}
	for i := 0; i < n+10; i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		order := []side{a, b}
		if (i+pair)%2 == 0 {
			order = []side{b, a}
		}
		for _, s := range order {
			start := time.Now()
			if err := s.run(); err != nil {
				return err
			}
			if i >= 10 { // before, files are read for the first time
				times[s.name] = append(times[s.name], time.Since(start).Seconds())
			}
		}
	}
	emitPaired(m, name, pair, a.name, times[a.name], b.name, times[b.name])
	return nil
}

// emitPaired takes the median of b, and of a what it was more or less than b
// each time: what the machine does meanwhile hits neighbours alike.
func emitPaired(m *meter, name string, pair int, a string, as []float64, b string, bs []float64) {
	more := make([]float64, len(as))
	for i := range as {
		more[i] = as[i] - bs[i]
	}
	m.emit(name, pair, a, took{wall: median(bs) + median(more)})
	m.emit(name, pair, b, took{wall: median(bs)})
}

// program returns a function that runs a program whose output does not matter.
func program(env []string, name string, args ...string) func() error {
	return func() error {
		cmd := exec.Command(name, args...)
		cmd.Env = append([]string{}, env...)
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
		}
		return nil
	}
}
