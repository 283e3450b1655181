package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
)

// A lab is where cells are run: what they share, on this machine.
//
//	CACHE/gocache       the build cache of all cells
//	CACHE/app/HASH      CACHE_DIR of all cells with the same config vars
//	CACHE/kept          what cells keep for the next run
type lab struct {
	cache     string
	lock      *os.File
	tmp       string   // removed in the end
	buildpack string   // a copy, so that an edit meanwhile does not split the matrix
	local     string   // GOROOT of the local Go
	environ   []string // of every build

	compiling sync.Map // *sync.Mutex by CACHE_DIR: a platform runs one build on it at a time
}

// openLab locks the directory cache for this process and copies the buildpack.
func openLab(ctx context.Context, cache, buildpack string) (*lab, error) {
	l := &lab{cache: cache}
	var err error
	if l.lock, err = machine.Lock(cache); err != nil {
		return nil, fmt.Errorf("-cache: %w", err)
	}
	if err = l.prepare(ctx, buildpack); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *lab) prepare(ctx context.Context, buildpack string) (err error) {
	for _, dir := range []string{"gocache", "app", "kept"} {
		if err := os.MkdirAll(filepath.Join(l.cache, dir), 0o777); err != nil {
			return fmt.Errorf("-cache: %w", err)
		}
	}
	if l.tmp, err = os.MkdirTemp("", "matrix."); err != nil {
		return err
	}
	// Import paths and directories as the go command will say them.
	if l.tmp, err = filepath.EvalSymlinks(l.tmp); err != nil {
		return err
	}
	root, err := machine.Checkout(buildpack)
	if err != nil {
		return err
	}
	l.buildpack = filepath.Join(l.tmp, "buildpack")
	if err := machine.CopyBuildpack(l.buildpack, root); err != nil {
		return err
	}
	environ, values, err := machine.Environ(ctx)
	if err != nil {
		return err
	}
	l.environ, l.local = environ, values[0]
	return nil
}

func (l *lab) close() {
	if l.tmp != "" {
		herokugo.RemoveAll(l.tmp)
	}
	l.lock.Close()
}

// cacheDir returns the CACHE_DIR for cells with these config vars, which are
// part of the injection ID, and a lock to hold while a buildpack compiles in it.
func (l *lab) cacheDir(config []string) (string, *sync.Mutex) {
	sum := sha256.Sum256([]byte(strings.Join(config, "\x00")))
	dir := filepath.Join(l.cache, "app", hex.EncodeToString(sum[:6]))
	v, _ := l.compiling.LoadOrStore(dir, &sync.Mutex{})
	return dir, v.(*sync.Mutex)
}
