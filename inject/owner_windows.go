package main

import "os"

// giveOwner does nothing: inject verify alone is for Windows.
func giveOwner(name string, of os.FileInfo) error { return nil }
