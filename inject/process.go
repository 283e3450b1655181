//go:build !windows && !plan9 && !js && !wasip1

package main

import "syscall"

// replaceProcess runs a command in the place of this process.
func replaceProcess(name string, argv, env []string) error { return syscall.Exec(name, argv, env) }
