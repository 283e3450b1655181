// Command step runs one step of a build, the compile or the link step of a main package,
// with the agent or without it:
//
//	step [FLAG]… -- TOOL [ARG]…
//
// bin/toolexec builds it on first use, with the app's toolchain, and starts it. It makes
// every decision about a main package, compiles what goes with it, and prints every message
// about it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/gocmd"
	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/stage"
)

// A step is one call of the compiler or the linker by a go command.
type step struct {
	stage        stage.Stage
	toolexec     string // -toolexec of the go commands that compile the agent, or ""
	userToolexec string // the user's own -toolexec, or ""
	rebuild      string // work directory of inject rebuild, or ""
	parent       int    // process that started the step: the go command or a user's -toolexec
	require      bool   // HMETRICS_INJECT
	quiet        bool   // print nothing
	note         string // addition to the program's line
	tool         string // compiler or linker
	args         []string
}

// stageID is the name of the stage that this command was built for. Only the linker
// sets it, with -X.
var stageID string

func main() {
	err := run(os.Args[1:])
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		endAs(exit)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, gocmd.Problem(err.Error()))
		os.Exit(1)
	}
}

func run(args []string) error {
	var s step
	var dir, inject string
	var prepare, id bool
	flags := flag.NewFlagSet("step", flag.ContinueOnError)
	flags.StringVar(&dir, "stage", "", "`directory` of the stage")
	flags.StringVar(&s.toolexec, "toolexec", "", "-toolexec of the go commands that compile the agent")
	flags.StringVar(&s.userToolexec, "user-toolexec", "", "the user's own -toolexec")
	flags.StringVar(&s.rebuild, "rebuild", "", "work `directory` of inject rebuild")
	flags.IntVar(&s.parent, "parent", os.Getppid(), "ID of the `process` that started the step")
	flags.StringVar(&inject, "inject", "auto", "HMETRICS_INJECT")
	flags.BoolVar(&prepare, "prepare", false, "only compile the agent, for the go command whose step this is")
	flags.BoolVar(&id, "id", false, "only print the ID of the stage that this command was built for")
	switch err := flags.Parse(args); {
	case err != nil:
		return err
	case id:
		_, err := fmt.Println(stageID)
		return err
	case flags.NArg() == 0:
		return errors.New("usage: step [FLAG]… -- TOOL [ARG]…")
	}
	s.require, s.tool, s.args = inject == "require", flags.Arg(0), flags.Args()[1:]
	var err error
	if s.stage, err = stage.Open(dir); err != nil {
		return s.runWithoutAgent(importPath(), err)
	}
	switch {
	case prepare:
		return s.prepare()
	case filepath.Base(s.tool) == "compile":
		return s.compile()
	}
	return s.link()
}

// command returns the tool with arguments, after the user's own -toolexec.
func (s step) command(args []string) []string {
	return append(append(strings.Fields(s.userToolexec), s.tool), args...)
}

// exec replaces this process with the tool.
func (s step) exec(args []string) error {
	argv := s.command(args)
	program, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	return syscall.Exec(program, argv, os.Environ())
}

// endAs ends this process as another one ended, so that the go command reports what happened
// to that.
func endAs(exit *exec.ExitError) {
	if isKilled(exit) {
		syscall.Kill(os.Getpid(), exit.Sys().(syscall.WaitStatus).Signal())
	}
	os.Exit(exit.ExitCode())
}

// isKilled reports whether a signal ended a process.
func isKilled(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled()
}

// importPath returns the import path of the step's package.
func importPath() string {
	// Some have the form "path [variant]".
	return strings.SplitN(os.Getenv("TOOLEXEC_IMPORTPATH"), " ", 2)[0]
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}
