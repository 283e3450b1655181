// Command inject links the metrics agent into an app's programs, and tells of a
// program whether it did:
//
//	inject verify [-json] BINARY…
//
// exits 0 only if every binary is going to report through the agent.
//
// The other verbs are for the scripts of the buildpack. bin/lib/step.sh has this
// command built by the toolchain that builds the app, and calls
//
//	inject id
//	inject prepare STAGE TOOLEXEC CHAIN PID TOOL
//	inject link STAGE TOOLEXEC CHAIN PID TOOL [ARG]…
//
// id prints the name of the stage (see stage) that the command was built for. The
// other two end with status 3 if that is not STAGE.
// prepare compiles the agent as the go command above process PID, which runs TOOL,
// compiles its programs. link runs the link step TOOL ARG… of that go command,
// with the agent or without it. TOOLEXEC is what compiles the agent's packages,
// CHAIN a -toolexec of the user's own or empty. The stage is the one that the
// environment variable HMETRICS_STAGE names.
//
// Where this buildpack comes after the Go buildpack, bin/lib/rebuild.sh calls
//
//	inject rebuild WORK_DIR TOOLEXEC RESULT GO BIN_DIR APP_DIR ENV_DIR [CACHE_DIR]
//
// which builds what is in BIN_DIR once more (see rebuild).
package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// A usageError is what is wrong with the command line.
type usageError string

func (e usageError) Error() string { return string(e) }

const errUsage = usageError("usage: inject verify [-json] BINARY…\n")

// A command is what a verb does. Verbs that no step of a build needs are added by
// the files that they are in, which are not staged.
type command func(args []string) error

var commands = map[string]command{"id": id, "prepare": prepare, "link": link}

func main() {
	err := error(errUsage)
	if len(os.Args) > 1 && commands[os.Args[1]] != nil {
		err = commands[os.Args[1]](os.Args[2:])
	}
	switch err := err.(type) {
	case nil:
	case exitStatus:
		os.Exit(int(err))
	case usageError:
		fmt.Fprint(os.Stderr, err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, oneLine(err.Error()))
		os.Exit(1)
	}
}

// An exitStatus ends the command without a message.
type exitStatus int

func (s exitStatus) Error() string { return "exit status " + strconv.Itoa(int(s)) }

// stageID is the name of the stage that this command was built for. Only the
// linker sets it, with -X.
var stageID string

func id(args []string) error {
	if len(args) > 0 {
		return errUsage
	}
	_, err := fmt.Println(stageID)
	return err
}

// printable returns text without control characters, which a terminal or a build
// log would act on.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, text)
}
