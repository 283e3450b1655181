//go:build !windows && !plan9 && !js && !wasip1

package main

import "syscall"

// replaceProcess replaces this process with a command.
func replaceProcess(name string, argv, env []string) error { return syscall.Exec(name, argv, env) }
