//go:build !windows

package main

import (
	"os"
	"syscall"
)

// giveOwner gives a new file the owner and the group of another file.
func giveOwner(name string, of os.FileInfo) error {
	owner, ok := of.Sys().(*syscall.Stat_t)
	if !ok || int(owner.Uid) == os.Geteuid() && int(owner.Gid) == os.Getegid() {
		return nil
	}
	return os.Chown(name, int(owner.Uid), int(owner.Gid))
}
