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

// A binary is an existing program, under one or more names: links to one file, or copies.
type binary struct {
	names []string
	files []os.FileInfo // of each name
	build *debug.BuildInfo
	made  string // the new program
}

const (
	temporary = ".hmetrics-rebuild-"

	// find looks at no more files in a directory.
	mostFiles = 200000
)

var errTooMany = errors.New("too many files")

// find returns the Go programs below directories, except tests. It follows no symbolic
// links: a link to a program leads to the new program later.
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
				os.Remove(name) // left by a build that was killed
				return nil
			}
			file, err := e.Info()
			if err != nil || file.Mode()&0o111 == 0 {
				return nil
			}
			// go test -c adds this suffix to the package of a test.
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
			r.logf(" !     Only the first %d files of %s are searched for programs.", mostFiles, gocmd.Printable(dir))
		}
	}
	return binaries
}

// title returns the names of a program, relative to the app's directory.
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
