package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
)

// A lab is where cells are run: what they share, on this machine.
//
//	CACHE/gocache       the build cache of all cells
//	CACHE/app/HASH      CACHE_DIR of all cells with the same config vars
//	CACHE/kept          what cells keep for the next run
type lab struct {
	cache     string
	lock      *os.File
	tmp       string            // removed in the end
	buildpack string            // a copy, so that an edit meanwhile does not split the matrix
	machine   map[string]string // how this machine reaches Go modules

	toolchains sync.Map // *toolchain by name
	compiling  sync.Map // *sync.Mutex by CACHE_DIR: a platform runs one build on it at a time
}

// machineVars say how this machine reaches Go modules. Nothing else of the
// user's environment reaches a build.
var machineVars = []string{"GOMODCACHE", "GOPROXY", "GOSUMDB", "GONOSUMDB", "GONOPROXY", "GOPRIVATE", "GOINSECURE"}

var networkVars = []string{"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"}

// openLab locks the directory cache for this process and copies the buildpack.
func openLab(ctx context.Context, cache, buildpack string) (*lab, error) {
	l := &lab{cache: cache, machine: map[string]string{}}
	for _, dir := range []string{"gocache", "app", "kept"} {
		if err := os.MkdirAll(filepath.Join(cache, dir), 0o777); err != nil {
			return nil, fmt.Errorf("making the directory -cache: %w", err)
		}
	}
	var err error
	if l.lock, err = os.OpenFile(filepath.Join(cache, "lock"), os.O_RDWR|os.O_CREATE, 0o666); err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(l.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		l.lock.Close()
		return nil, fmt.Errorf("another matrix is running with -cache %s: %w", cache, err)
	}
	if l.tmp, err = os.MkdirTemp("", "matrix."); err != nil {
		l.close()
		return nil, err
	}
	// Import paths and directories as the go command will say them.
	if l.tmp, err = filepath.EvalSymlinks(l.tmp); err == nil {
		err = l.copyBuildpack(buildpack)
	}
	if err == nil {
		err = l.askMachine(ctx)
	}
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *lab) close() {
	if l.tmp != "" {
		herokugo.RemoveAll(l.tmp)
	}
	l.lock.Close()
}

func (l *lab) copyBuildpack(root string) error {
	if root == "" {
		wd, err := os.Getwd()
		if err != nil {
			return err
		}
		for root = wd; ; root = filepath.Dir(root) {
			if _, err := os.Stat(filepath.Join(root, "bin", "toolexec")); err == nil {
				break
			}
			if root == filepath.Dir(root) {
				return fmt.Errorf("the buildpack's checkout is neither %s nor above it: name it with -buildpack", wd)
			}
		}
	}
	var parts []string
	for _, part := range []string{"bin", "agent", "inject", "go.mod", "go.sum", "buildpack.toml", "test/apps"} {
		parts = append(parts, filepath.Join(root, part))
	}
	l.buildpack = filepath.Join(l.tmp, "buildpack")
	_, err := herokugo.CopyTree(l.buildpack, root, parts...)
	return err
}

func (l *lab) askMachine(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"env"}, machineVars...)...)
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOTOOLCHAIN=local")
	cmd.Dir = l.tmp
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go env: %w", err)
	}
	for i, value := range strings.Split(strings.TrimSuffix(string(out), "\n"), "\n") {
		l.machine[machineVars[i]] = value
	}
	for _, name := range networkVars {
		if value := os.Getenv(name); value != "" {
			l.machine[name] = value
		}
	}
	return nil
}

type toolchain struct {
	once sync.Once
	root string
	err  error
}

// goroot returns the GOROOT of a Go release, "" for the local one, after
// fetching it if need be.
func (l *lab) goroot(ctx context.Context, version string) (string, error) {
	v, _ := l.toolchains.LoadOrStore(version, &toolchain{})
	t := v.(*toolchain)
	t.once.Do(func() {
		name := version
		if name == "" {
			name = "local"
		}
		cmd := exec.CommandContext(ctx, "go", "env", "GOROOT")
		cmd.Env = append(os.Environ(), "GOENV=off", "GOFLAGS=", "GOTOOLCHAIN="+name, "GOPROXY="+l.machine["GOPROXY"])
		cmd.Dir = l.tmp
		out, err := cmd.Output()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = errors.New(strings.TrimSpace(string(exit.Stderr)))
		}
		t.root, t.err = strings.TrimSpace(string(out)), err
	})
	return t.root, t.err
}

// cacheDir returns the CACHE_DIR for cells with these config vars, which are
// part of the injection ID, and a lock to hold while a buildpack compiles in it.
func (l *lab) cacheDir(config []string) (string, *sync.Mutex) {
	sum := sha256.Sum256([]byte(strings.Join(config, "\x00")))
	dir := filepath.Join(l.cache, "app", hex.EncodeToString(sum[:6]))
	v, _ := l.compiling.LoadOrStore(dir, &sync.Mutex{})
	return dir, v.(*sync.Mutex)
}
