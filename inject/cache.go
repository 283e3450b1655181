package main

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/stage"
)

// layerCache creates a build cache of links to the directories of the Go buildpack's cache.
// There, hideMain can hide one entry, so that the go command compiles a main package again,
// with the hook: under the tools' own IDs it would take the package from its cache. No other
// cache keeps the result.
func (r *rebuilder) layerCache() error {
	real, err := r.goRun(r.app, []string{"GOFLAGS="}, "env", "GOCACHE")
	if err != nil {
		return err
	}
	if !filepath.IsAbs(real) {
		return fmt.Errorf("GOCACHE is %q: set it to a directory", real)
	}
	dir := filepath.Join(r.work, stage.LayeredCache)
	if err := makeEmpty(dir); err != nil {
		return err
	}
	link := filepath.Join(r.work, stage.CacheLink)
	os.Remove(link)
	if err := os.Symlink(real, link); err != nil {
		return err
	}
	for i := 0; i < 256; i++ {
		if err := os.MkdirAll(filepath.Join(real, fmt.Sprintf("%02x", i)), 0o777); err != nil {
			return err
		}
	}
	return linkAll(real, dir, "")
}

// makeEmpty makes an empty directory in place of what is there.
func makeEmpty(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.Mkdir(dir, 0o777)
}

// linkAll links the entries of one directory into another, except those with a prefix.
func linkAll(from, to, except string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if except != "" && strings.HasPrefix(e.Name(), except) {
			continue
		}
		if err := os.Symlink(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// hideMain hides the entry of a program's main package in the cache of layerCache. The
// entry's name begins with the first part of the build ID, which abbreviates the action ID
// (HashToString in cmd/internal/buildid).
func (r *rebuilder) hideMain(c buildCommand) error {
	buildID, err := r.goRun(c.dir, c.environ(), append(append([]string{"list", "-export", "-f", "{{if eq .Name \"main\"}}{{.BuildID}}{{end}}"}, c.flags...), c.packages...)...)
	if err != nil {
		return err
	}
	action, err := base64.RawURLEncoding.DecodeString(strings.SplitN(buildID, "/", 2)[0])
	if err != nil || len(action) == 0 {
		return fmt.Errorf("its main package has the build ID %q", buildID)
	}
	name := hex.EncodeToString(action)
	dir := filepath.Join(r.work, stage.LayeredCache, name[:2])
	from, err := os.Readlink(dir)
	if err != nil {
		return err
	}
	if err := makeEmpty(dir); err != nil {
		return err
	}
	return linkAll(from, dir, name)
}
