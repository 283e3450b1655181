package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// A swap replaces a file with a new program.
type swap struct {
	name string
	file os.FileInfo // of the old program
	made string      // the new program, anywhere

	ready, old string // names of the new and the old program beside it
}

// putInPlace does all swaps or none. It moves nothing before all new files lie beside the
// old ones. If a move fails, it moves the others back; whole is false if that fails too.
// Names of one file stay names of one file.
func putInPlace(swaps []swap) (whole bool, err error) {
	defer func() {
		for _, s := range swaps {
			os.Remove(s.ready)
			os.Remove(s.old)
		}
	}()
	for i := range swaps {
		if err := swaps[i].prepare(swaps[:i]); err != nil {
			return true, err
		}
	}
	for i, s := range swaps {
		if err := os.Rename(s.ready, s.name); err != nil {
			for _, done := range swaps[:i] {
				if uerr := os.Rename(done.old, done.name); uerr != nil {
					return false, fmt.Errorf("%w, and the old %s could not be put back: %v", err, done.name, uerr)
				}
			}
			return true, err
		}
	}
	return true, nil
}

// prepare creates two files beside the old program: the new program, with the owner and the
// mode of the old one, and another name of the old one.
func (s *swap) prepare(before []swap) error {
	beside := filepath.Join(filepath.Dir(s.name), temporary+filepath.Base(s.name))
	s.ready, s.old = beside+".new", beside+".old"
	os.Remove(s.ready)
	os.Remove(s.old)
	if err := os.Link(s.name, s.old); err != nil {
		return err
	}
	for _, b := range before {
		if os.SameFile(b.file, s.file) {
			return os.Link(b.ready, s.ready)
		}
	}
	if err := copyFile(s.made, s.ready); err != nil {
		return err
	}
	if err := giveOwner(s.ready, s.file); err != nil {
		return err
	}
	return os.Chmod(s.ready, s.file.Mode())
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	return err
}
