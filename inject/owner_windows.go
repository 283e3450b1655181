package main

import "os"

// giveOwner does nothing: on Windows, only inject verify works.
func giveOwner(name string, of os.FileInfo) error { return nil }
