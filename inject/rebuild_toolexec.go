//go:build toolexec

package main

import "io"

// rebuild is not for builds, which need not wait for what it imports.
func rebuild([]string, io.Writer) error { return errUsage }
