// Command inject links the metrics agent into an app's binaries, and tells of a
// binary whether it did:
//
//	inject verify [-json] BINARY…
//
// exits 0 only if every binary is going to report through the agent. For
// bin/rebuild.sh, where this buildpack comes after the Go buildpack,
//
//	inject rebuild WORK_DIR TOOLEXEC GO BIN_DIR APP_DIR
//
// builds what is in BIN_DIR once more (see rebuild). The other verbs are for
// bin/toolexec, which builds this command with the toolchain that
// builds the app and with the build tag toolexec:
//
//	inject preflight PID TOOL ID TOOLEXEC
//	inject step PID TOOL [ARG]…
//
// preflight makes sure that the agent can be linked into what the go command
// with process ID PID builds: exit 0 and a line with "ready" and, if need be, a
// remark for the build log. Otherwise it says why in one line, exit 1; or exit 3
// and no line where injection is not meant to happen. TOOL is the compiler's
// path, ID what it answers to -V=full, TOOLEXEC the path of bin/toolexec.
//
// step runs one compile or link step of that go command, after adding to its
// arguments what the agent needs.
//
// The stage (see stage) is named by the environment variable HMETRICS_STAGE.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

var errUsage = errors.New("usage: inject (preflight PID TOOL ID TOOLEXEC | step PID TOOL [ARG]… | verify [-json] BINARY… | rebuild WORK_DIR TOOLEXEC GO BIN_DIR APP_DIR)")

// notMeant says why injection is not meant to happen, which is no problem.
type notMeant string

func (n notMeant) Error() string { return string(n) }

func main() {
	err := run(os.Args[1:])
	if err == nil {
		return
	}
	if _, ok := err.(notMeant); ok {
		os.Exit(3)
	}
	fmt.Fprintln(os.Stderr, oneLine(err.Error()))
	os.Exit(1)
}

func run(args []string) error {
	if len(args) > 0 && args[0] == "verify" {
		return verify(args[1:], os.Stdout)
	}
	if len(args) > 0 && args[0] == "rebuild" {
		return rebuild(args[1:], os.Stdout)
	}
	if len(args) < 3 {
		return errUsage
	}
	pid, err := strconv.Atoi(args[1])
	if err != nil {
		return errUsage
	}
	var parent goCommand
	st, lost := openStage(os.Getenv("HMETRICS_STAGE"))
	if lost == nil {
		parent, lost = findGoCommand("/proc", pid)
	}
	verb, tool, args := args[0], args[2], args[3:]
	switch {
	case verb == "preflight" && len(args) == 2:
		if lost != nil {
			return lost
		}
		remark, err := preflight(st, parent, toolchain{compiler: tool, id: args[0]}, args[1], os.Environ())
		if err == nil {
			// A damaged file may well exit 0, as an empty one does.
			fmt.Println(strings.TrimSpace("ready " + remark))
		}
		explain(os.Environ(), pid, "preflight for "+filepath.Base(tool), err)
		return err
	case verb == "step" && len(args) > 0:
		wd, err := os.Getwd()
		if err != nil {
			return err
		}
		return step{stage: st, parent: parent, dir: wd, env: os.Environ(), lost: lost}.run(tool, args)
	}
	return errUsage
}
