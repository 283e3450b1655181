//go:build linux

package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/otiai10/copy"
)

// copy copies the roots to dst, each to its place below it. Entries named .git are no part
// of what a platform builds and are not copied. Skipped are the paths that could not be
// copied: what the user may not read, and what is neither file, directory nor link.
//
// A symbolic link to a copied place leads to the copy, unless it is absolute; one to a file
// elsewhere becomes that file; one to a directory elsewhere leads where it did.
func (s source) copy(dst string) (skipped []string, err error) {
	isCopied := func(path string) bool {
		return slices.ContainsFunc(s.roots, func(root string) bool { return isAbove(root, path) })
	}
	options := copy.Options{
		PermissionControl: func(info fs.FileInfo, to string) (func(*error), error) {
			if info.IsDir() {
				return copy.AddPermission(0o700)(info, to)
			}
			return copy.AddPermission(0o600)(info, to)
		},
		Skip: func(info fs.FileInfo, from, to string) (bool, error) {
			if info.Name() == ".git" || from == dst { // the copy may be made inside the original
				return true, nil
			}
			if info.Mode().IsRegular() || info.IsDir() {
				f, err := os.Open(from)
				if err == nil {
					return false, f.Close()
				}
			} else if info.Mode()&fs.ModeSymlink != 0 {
				leads, err := filepath.EvalSymlinks(from)
				if err != nil || isCopied(leads) || isFile(leads) {
					return false, nil
				}
				return true, os.Symlink(leads, to)
			}
			skipped = append(skipped, from)
			return true, nil
		},
		OnSymlink: func(link string) copy.SymlinkAction {
			if leads, err := filepath.EvalSymlinks(link); err == nil && !isCopied(leads) {
				return copy.Deep
			}
			return copy.Shallow
		},
	}
	for _, root := range s.roots {
		if isCopied(filepath.Dir(root)) {
			continue // it is below another one
		}
		rel, err := filepath.Rel(s.base, root)
		if err != nil {
			return nil, err
		}
		if err := copy.Copy(root, filepath.Join(dst, rel), options); err != nil {
			return nil, err
		}
	}
	return skipped, nil
}
