// Command inject links the metrics agent into programs, and checks whether programs have
// it:
//
//	inject go build ./...       runs the go command with the agent
//	inject env                  prints variables that make other tools do the same
//	inject verify bin/web       checks whether a program has the agent
//
// The exit status is 2 if the command line is wrong. If this buildpack comes after the Go
// buildpack, bin/compile and bin/build call
//
//	inject rebuild FLAG… APP_DIR [DIR…]
//
// which builds the app's programs in these directories again (see rebuild).
package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/gocmd"
)

const usage = `usage: inject COMMAND [ARG…]

	go ARG…                   run the go command with the metrics agent
	env                       print variables that make other tools do the same
	verify [-json] PROGRAM…   check whether programs have the agent

"inject COMMAND -h" explains a command. Example: inject go build -o bin/web ./cmd/web
`

// A usageError is what is wrong with the command line.
type usageError string

func (e usageError) Error() string { return string(e) }

func main() {
	err := error(usageError(usage))
	if len(os.Args) > 1 {
		err = run(os.Args[1], os.Args[2:])
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

func run(command string, args []string) error {
	switch command {
	case "go":
		return goCommand(args)
	case "env":
		return printEnvironment(args)
	case "verify":
		return verify(args, os.Stdout)
	case "rebuild":
		return rebuild(args)
	case "-h", "--help", "help":
		return printUsage(usage, true)
	}
	suggestion := ""
	for _, known := range []string{"go", "env", "verify"} {
		if len(command) < 10 && distance(command, known) <= 2 {
			suggestion = fmt.Sprintf(" Did you mean inject %s?", known)
		}
	}
	return usageError(fmt.Sprintf("inject: there is no command %q.%s\n%s", command, suggestion, usage))
}

// printUsage prints a usage if it was asked for, and returns it as an error if not.
func printUsage(text string, asked bool) error {
	if !asked {
		return usageError(text)
	}
	fmt.Print(text)
	return nil
}

// distance returns how many letters must be added, removed or changed to turn a into b.
func distance(a, b string) int {
	if a == "" || b == "" {
		return len(a) + len(b)
	}
	if a[0] == b[0] {
		return distance(a[1:], b[1:])
	}
	least := distance(a[1:], b[1:])
	for _, d := range []int{distance(a, b[1:]), distance(a[1:], b)} {
		if d < least {
			least = d
		}
	}
	return least + 1
}

// An exitStatus ends the command without a message.
type exitStatus int

func (s exitStatus) Error() string { return "exit status " + strconv.Itoa(int(s)) }
