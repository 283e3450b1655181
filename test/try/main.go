//go:build linux

// Command try is what a new user runs first: go run ./test/try, with the arguments of
// command run. Where nothing is compiled yet, that command takes most of a minute. This
// one compiles in a few seconds, says so, and starts it.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

func main() {
	fmt.Fprintln(os.Stderr, "try: compiling this command, which takes up to a minute the first time")
	command, err := exec.LookPath("go")
	if err == nil {
		args := []string{"go", "run", "github.com/hmetrics/heroku-buildpack-go-metrics/test/try/run"}
		err = syscall.Exec(command, append(args, os.Args[1:]...), os.Environ())
	}
	fmt.Fprintln(os.Stderr, "try:", err)
	os.Exit(1)
}
