//go:build windows || plan9 || js || wasip1

package main

import (
	"errors"
	"os"
	"os/exec"
)

// replaceProcess runs a command and ends with its exit status.
func replaceProcess(name string, argv, env []string) error {
	cmd := exec.Command(name, argv[1:]...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, os.Stdin, os.Stdout, os.Stderr
	err := cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exitStatus(exit.ExitCode())
	}
	return err
}
