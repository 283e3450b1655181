package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// slugs measures by how many bytes the agent makes binaries bigger, beside what one
// would import by hand.
func slugs(ctx context.Context, w *workspace, p *pair) {
	for _, r := range p.wanted() {
		p.add(r, r.a, took{wall: w.growth(ctx, r.app, r.a)})
		p.add(r, r.b, took{wall: w.growth(ctx, r.app, r.b)})
	}
}

// growth returns by how many bytes the binary of an app is bigger than plain.
func (w *workspace) growth(ctx context.Context, s shape, side string) float64 {
	return float64(must(os.Stat(w.binary(ctx, s, side))).Size() - must(os.Stat(w.binary(ctx, s, plain))).Size())
}

// steps measures bin/toolexec on a step that it hands on: it is shown the assembler's
// -V=full, which costs the tool itself next to nothing.
func steps(ctx context.Context, w *workspace, p *pair) {
	toolexec, tool, env := w.step(ctx)
	alternate(ctx, p, p.rows[0], env, []string{toolexec, tool, "-V=full"}, []string{tool, "-V=full"})
}

// step returns the program that GOFLAGS names after bin/compile, a tool that it hands
// on to, and their environment.
func (w *workspace) step(ctx context.Context) (toolexec, tool string, env []string) {
	b := w.newBuilder(ctx, buildpack, app{}, w.dir("step"))
	for _, e := range b.env {
		if _, flag, found := strings.Cut(e, "-toolexec="); found && strings.HasPrefix(e, "GOFLAGS=") {
			toolexec = strings.Fields(flag)[0]
		}
	}
	tooldir, _ := w.run(ctx, w.tmp, w.environ, w.gocmd, "env", "GOTOOLDIR")
	return toolexec, filepath.Join(tooldir, "asm"), b.env
}

// starts measures from the exec to the exit of a program that returns from main at once.
// Only a row by OTLP has somewhere to report to, which it does not live to do.
func starts(ctx context.Context, w *workspace, p *pair) {
	for _, r := range p.wanted() {
		var env []string
		if r.b == sdk {
			env = []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318"}
		}
		alternate(ctx, p, r, env, []string{w.binary(ctx, r.app, r.a), "exit"}, []string{w.binary(ctx, r.app, r.b), "exit"})
	}
}

// alternate times two programs a thousand times in turn, so that their medians tell tens
// of microseconds apart. The reading of b is its median, and that of a is what it took
// more or less than b each time: what the machine does meanwhile hits neighbours alike.
func alternate(ctx context.Context, p *pair, r row, env, a, b []string) {
	const times, warmUp = 1000, 10 // before, files are read for the first time
	var bs, more []float64
	for i := range warmUp + times {
		var took [2]float64
		for n := range 2 {
			side := (i + p.n + n) % 2
			args := [][]string{a, b}[side]
			cmd := exec.CommandContext(ctx, args[0], args[1:]...)
			cmd.Env = append([]string{}, env...)
			start := time.Now()
			if err := cmd.Run(); err != nil {
				check(fmt.Errorf("%s: %w", strings.Join(args, " "), err))
			}
			took[side] = time.Since(start).Seconds()
		}
		if i >= warmUp {
			bs, more = append(bs, took[1]), append(more, took[0]-took[1])
		}
	}
	p.add(r, r.a, took{wall: median(bs) + median(more)})
	p.add(r, r.b, took{wall: median(bs)})
}
