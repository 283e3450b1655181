package main

import (
	"crypto/sha256"
	"debug/buildinfo"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/gocmd"
)

// A binary is a program that is already there, under one name or several: links to one
// file, or copies.
type binary struct {
	names []string
	files []os.FileInfo // of each name
	build *debug.BuildInfo
	made  string // the new one
}

const (
	temporary = ".hmetrics-rebuild-"

	// No more files than these are looked at in a directory.
	mostFiles = 200000
)

var errTooMany = errors.New("too many files")

// find returns the Go programs below directories, except tests. It follows no symbolic
// link: one that leads to another file there leads to the new one later.
func (r *rebuilder) find(dirs []string) (binaries []*binary) {
	known := make(map[[sha256.Size]byte]*binary)
	for _, dir := range dirs {
		seen := 0
		// The directory itself may be a link.
		err := filepath.WalkDir(dir+"/.", func(name string, e fs.DirEntry, err error) error {
			switch seen++; {
			case seen > mostFiles:
				return errTooMany
			case err != nil:
				return nil
			case e.IsDir() && e.Name() == ".git":
				return fs.SkipDir
			case !e.Type().IsRegular():
				return nil
			case strings.HasPrefix(e.Name(), temporary):
				os.Remove(name) // of a build that was killed
				return nil
			}
			file, err := e.Info()
			if err != nil || file.Mode()&0o111 == 0 {
				return nil
			}
			// go test -c names the package of what it builds with a suffix.
			build, err := buildinfo.ReadFile(name)
			if err != nil || strings.HasSuffix(build.Path, ".test") {
				return nil
			}
			data, err := os.ReadFile(name)
			if err != nil {
				return nil
			}
			sum := sha256.Sum256(data)
			b := known[sum]
			if b == nil {
				b = &binary{build: build}
				known[sum], binaries = b, append(binaries, b)
			}
			b.names, b.files = append(b.names, name), append(b.files, file)
			return nil
		})
		if err != nil {
			r.say(" !     Programs in %s are not looked for behind its first %d files.", gocmd.Printable(dir), mostFiles)
		}
	}
	return binaries
}

// title returns the names of a program as the user knows them.
func (r *rebuilder) title(b *binary) string {
	var titles []string
	for _, name := range b.names {
		if rel, err := filepath.Rel(r.app, name); err == nil && !strings.HasPrefix(rel, "..") {
			name = "./" + rel
		}
		titles = append(titles, gocmd.Printable(name))
	}
	return strings.Join(titles, ", ")
}
