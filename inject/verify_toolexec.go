//go:build toolexec

package main

import "io"

// verify is not for builds, which need not wait for what it imports.
func verify([]string, io.Writer) error { return errUsage }
