package main

import (
	"context"
	"os/exec"
	"strings"
)

// A cell is one way to build one app, and what must come of it.
type cell struct {
	name    string // group/name
	app     string // testdata/APP.txtar; "": plain
	release string // Go release, as GOTOOLCHAIN takes it; "": the local one

	config []string // config vars, NAME=VALUE
	env    []string // environment of the buildpack and of build; $WORK and the like are expanded

	// setup and build are for bash -euo pipefail in the app's directory, build
	// with what the buildpack exports. $APP is that directory, $WORK the one
	// around it, $BUILDPACK a copy of this buildpack, $LOCALGO the local go
	// command, $KEPT a directory that is there in the next run too. Of what build
	// prints, lines that begin with "note: " are shown in the table.
	setup, build string

	// Programs, each a command line that begins with a binary ("./app",
	// "$GOBIN/web") or with a command ("go run ."). A cell has at least one.
	reports []string // hold the agent, work and report
	off     []string // hold it, work, and say that they report by themselves
	absent  []string // do not hold it, and work
	holds   []string // hold it; not run
	without []string // do not hold it; not run

	otlpOff bool // the programs that report do so to Heroku alone

	works string // regexp of what the programs that are run print; "": works
	says  string // regexp of what the buildpack says in the build's output; "": it says nothing

	short bool                         // for each run of CI
	needs func(context.Context) string // says why the cell cannot be run on this machine, or ""
}

// An outcome is what is expected of a program.
type outcome string

const (
	reports outcome = "reports"
	off     outcome = "off"
	absent  outcome = "no agent, works"
	holds   outcome = "holds the agent"
	without outcome = "no agent"
)

type expectation struct {
	command string
	outcome outcome
}

func (c cell) expectations() []expectation {
	var list []expectation
	add := func(o outcome, commands []string) {
		for _, command := range commands {
			list = append(list, expectation{command, o})
		}
	}
	add(reports, c.reports)
	add(off, c.off)
	add(absent, c.absent)
	add(holds, c.holds)
	add(without, c.without)
	return list
}

// expectation says in words what is expected.
func (c cell) expectation() string {
	var words []string
	last := outcome("")
	for _, e := range c.expectations() {
		if e.outcome != last {
			words = append(words, string(e.outcome))
		}
		last = e.outcome
	}
	s := strings.Join(words, " + ")
	if c.says != "" {
		s += ", says why"
	}
	return s
}

// needsCommand returns a cell's needs: that the shell command succeeds.
func needsCommand(why, script string) func(context.Context) string {
	return func(ctx context.Context) string {
		if exec.CommandContext(ctx, "bash", "-c", script).Run() != nil {
			return why
		}
		return ""
	}
}
