package herokugo

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// CopyTree copies the directory src to dst, which is made if it is not there.
// With subtrees, which are paths below src or src itself, it copies only those,
// each to its place. Entries named .git are no part of what a platform builds
// and are not copied.
//
// Nothing that is written to the copy reaches the original: its files and
// directories are new ones that their owner may write to, a symbolic link to a
// copied place leads to the copy, and one to a file elsewhere becomes a file.
// Only a link to a directory elsewhere leads where it did.
//
// Skipped are the paths that could not be copied: what the user may not read,
// and what is neither file, directory nor link.
func CopyTree(dst, src string, subtrees ...string) (skipped []string, err error) {
	c := copier{}
	if c.src, err = resolve(src); err != nil {
		return nil, err
	}
	if len(subtrees) == 0 {
		subtrees = []string{src}
	}
	for _, root := range subtrees {
		if root, err = resolve(root); err != nil {
			return nil, err
		}
		c.subtrees = append(c.subtrees, root)
	}
	if err := os.MkdirAll(dst, 0o777); err != nil {
		return nil, err
	}
	if c.dst, err = resolve(dst); err != nil {
		return nil, err
	}
	if c.dstInfo, err = os.Stat(dst); err != nil {
		return nil, err
	}
	for i, root := range c.subtrees {
		if within(root, c.subtrees[:i]) {
			continue
		}
		if !within(root, []string{c.src}) {
			return nil, fmt.Errorf("copying %s: it is not below %s", root, c.src)
		}
		if err := os.MkdirAll(filepath.Dir(c.target(root)), 0o777); err != nil {
			return nil, err
		}
		if err := filepath.WalkDir(root, c.visit); err != nil {
			return nil, err
		}
	}
	return c.skipped, nil
}

// resolve returns the absolute path of what path leads to.
func resolve(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

type copier struct {
	src, dst string
	dstInfo  fs.FileInfo
	subtrees []string
	skipped  []string
}

func (c *copier) target(path string) string {
	rel, err := filepath.Rel(c.src, path)
	if err != nil {
		panic(err) // both are absolute
	}
	return filepath.Join(c.dst, rel)
}

func (c *copier) visit(path string, d fs.DirEntry, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		c.skipped = append(c.skipped, path)
		return nil
	}
	if err != nil {
		return err
	}
	if d.Name() == ".git" {
		if d.IsDir() {
			return fs.SkipDir
		}
		return nil
	}
	info, err := d.Info()
	if err != nil {
		return err
	}
	to := c.target(path)
	switch {
	case d.IsDir():
		if os.SameFile(info, c.dstInfo) {
			return fs.SkipDir // the copy is being made inside the original
		}
		if err := os.MkdirAll(to, 0o777); err != nil {
			return err
		}
		return os.Chmod(to, info.Mode().Perm()|0o700)
	case info.Mode()&fs.ModeSymlink != 0:
		return c.link(path, to)
	case info.Mode().IsRegular():
		return c.file(path, to)
	}
	c.skipped = append(c.skipped, path)
	return nil
}

func (c *copier) link(path, to string) error {
	text, err := os.Readlink(path)
	if err != nil {
		return err
	}
	leads := text
	if !filepath.IsAbs(leads) {
		leads = filepath.Join(filepath.Dir(path), text)
	}
	switch info, err := os.Stat(path); {
	case within(leads, c.subtrees):
		if filepath.IsAbs(text) {
			if text, err = filepath.Rel(filepath.Dir(to), c.target(leads)); err != nil {
				return err
			}
		}
	case err != nil: // it dangles, and so will the copy
	case info.Mode().IsRegular():
		return c.file(path, to)
	default:
		text = filepath.Clean(leads)
	}
	os.Remove(to) // a subtree may have been begun for another one below it
	return os.Symlink(text, to)
}

func (c *copier) file(path, to string) error {
	in, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		c.skipped = append(c.skipped, path)
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	mode := info.Mode().Perm() | 0o600
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return fmt.Errorf("copying %s: %w", path, err)
	}
	if err := out.Close(); err != nil {
		return err
	}
	return os.Chmod(to, mode)
}

// within reports whether path is one of dirs or below one of them.
func within(path string, dirs []string) bool {
	for _, dir := range dirs {
		rel, err := filepath.Rel(dir, path)
		if err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
			return true
		}
	}
	return false
}

// RemoveAll is os.RemoveAll for trees that may hold directories without write
// permission, as a module cache does.
func RemoveAll(path string) error {
	if os.RemoveAll(path) == nil {
		return nil
	}
	filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(path)
}
