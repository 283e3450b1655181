//go:build !linux

package main

import "os"

func isTTY(*os.File) bool { return false }
