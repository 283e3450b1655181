// Command inject is for the programs of an app into which this buildpack links the
// metrics agent:
//
//	inject verify [-json] BINARY…
//
// tells whether the agent is in a program. Its exit status is 0 only if every program is
// going to report through the agent.
//
// Where this buildpack comes after the Go buildpack, bin/compile and bin/build call
//
//	inject rebuild FLAG… APP_DIR [DIR…]
//
// which builds the app's programs in these directories once more (see rebuild).
package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/gocmd"
)

// A usageError is what is wrong with the command line.
type usageError string

func (e usageError) Error() string { return string(e) }

const errUsage = usageError("usage: inject verify [-json] BINARY…\n")

func main() {
	err := error(errUsage)
	if len(os.Args) > 1 {
		switch args := os.Args[2:]; os.Args[1] {
		case "verify":
			err = verify(args, os.Stdout)
		case "rebuild":
			err = rebuild(args)
		}
	}
	switch err := err.(type) {
	case nil:
	case exitStatus:
		os.Exit(int(err))
	case usageError:
		fmt.Fprint(os.Stderr, err)
		os.Exit(2)
	default:
		fmt.Fprintln(os.Stderr, gocmd.Problem(err.Error()))
		os.Exit(1)
	}
}

// An exitStatus ends the command without a message.
type exitStatus int

func (s exitStatus) Error() string { return "exit status " + strconv.Itoa(int(s)) }
