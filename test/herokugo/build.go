// Package herokugo builds an app the way Heroku does with classic buildpacks, on this
// machine and with the Go that is already on it. In the directory buildpack is one that does
// what the official heroku/go does.
package herokugo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// A Build is one build of one app. All its directories must be absolute paths.
type Build struct {
	App   string // BUILD_DIR, the app's source, built in place
	Cache string // CACHE_DIR, kept between builds and shared by all buildpacks
	Env   string // ENV_DIR, a file for each config var

	// Environ is the environment, as in os.Environ, of the next buildpack.
	// What a buildpack exports is added here once it has run.
	Environ []string

	Stdout, Stderr io.Writer // the build log; must not be nil
}

// InstallGo lays out the cache so that heroku/go finds the Go in goroot there, and
// downloads none. As heroku/go does with a new release, it empties the cache of what
// another release has left.
func (b *Build) InstallGo(goroot string) error {
	version, err := os.ReadFile(filepath.Join(goroot, "VERSION"))
	if err != nil {
		return fmt.Errorf("finding which release of Go is in the GOROOT %q: %w", goroot, err)
	}
	name, _, _ := strings.Cut(string(version), "\n")
	cache := filepath.Join(b.Cache, ".heroku", "go")
	link := filepath.Join(cache, name, "go")
	if _, err := os.Lstat(link); errors.Is(err, fs.ErrNotExist) {
		if err := RemoveAll(cache); err != nil {
			return err
		}
	}
	// Another GOROOT of the same release takes the place of the last one.
	os.Remove(link)
	if err := os.MkdirAll(filepath.Dir(link), 0o777); err != nil {
		return err
	}
	return os.Symlink(goroot, link)
}

// Run has each buildpack, named by its directory, detect and compile, in the order given.
// The buildpacks of an app are chosen by its owner, so one that does not detect fails the
// build, as on the platform. A buildpack may write to its directory. When ctx is done,
// whatever is running is killed.
func (b *Build) Run(ctx context.Context, buildpacks ...string) error {
	for _, dir := range buildpacks {
		name, err := b.program(ctx, dir, "detect", b.App)
		if err != nil {
			return err
		}
		fmt.Fprintf(b.Stdout, "-----> %s app detected\n", strings.TrimSpace(name))
		if err := b.compile(ctx, dir); err != nil {
			return err
		}
	}
	return nil
}

// compile runs bin/compile and bin/release, and sources the export file, if there is one,
// for the buildpacks that follow.
func (b *Build) compile(ctx context.Context, dir string) error {
	export := filepath.Join(dir, "export")
	if err := os.Remove(export); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := b.program(ctx, dir, "compile", b.App, b.Cache, b.Env); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, "bin", "release")); err == nil {
		if _, err := b.program(ctx, dir, "release", b.App); err != nil {
			return err
		}
	}
	if _, err := os.Stat(export); err != nil {
		return nil
	}
	environ, err := Source(ctx, export, b.Environ, b.Stderr)
	if err != nil {
		return fmt.Errorf("sourcing %s: %w", export, err)
	}
	b.Environ = environ
	return nil
}

// program runs one of a buildpack's programs, in a directory that none may rely on. What
// bin/compile prints goes to the log; what the others print is returned.
func (b *Build) program(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.Command(filepath.Join(dir, "bin", name), args...)
	var out bytes.Buffer
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = "/", append(b.Environ[:len(b.Environ):len(b.Environ)], "PWD=/"), &out, b.Stderr
	if name == "compile" {
		cmd.Stdout = b.Stdout
	}
	if err := RunGroup(ctx, cmd); err != nil {
		b.Stdout.Write(out.Bytes())
		return "", fmt.Errorf("running bin/%s of the buildpack %s: %w", name, dir, err)
	}
	return out.String(), nil
}

// RunGroup runs cmd to its end in a process group of its own and kills that
// group if ctx is done first.
func RunGroup(ctx context.Context, cmd *exec.Cmd) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	err := cmd.Wait()
	stop()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
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
