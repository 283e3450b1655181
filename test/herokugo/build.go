// Package herokugo builds an app as Heroku does with classic buildpacks, on this machine and
// with its Go. The directory buildpack has a buildpack that does what the official heroku/go
// does.
package herokugo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/dsnet/try"
)

// A Build is one build of one app. All its directories must be absolute paths.
type Build struct {
	App   string // BUILD_DIR, the app's source, built in place
	Cache string // CACHE_DIR, kept between builds and shared by all buildpacks
	Env   string // ENV_DIR, a file for each config var

	// Environ is the environment, as in os.Environ, of the next buildpack. After each
	// buildpack, what it exports is added here.
	Environ []string

	Stdout, Stderr io.Writer // the build log; must not be nil
}

// InstallGo prepares the cache so that heroku/go finds the Go in goroot there and downloads
// none. As heroku/go does for a new release, it removes what another release left there.
func (b *Build) InstallGo(goroot string) (err error) {
	defer try.HandleF(&err, func() { err = fmt.Errorf("installing the Go of the GOROOT %q: %w", goroot, err) })
	name, _, _ := strings.Cut(string(try.E1(os.ReadFile(filepath.Join(goroot, "VERSION")))), "\n")
	cache := filepath.Join(b.Cache, ".heroku", "go")
	link := filepath.Join(cache, name, "go")
	if _, err := os.Lstat(link); err != nil {
		try.E(RemoveAll(cache))
	}
	// Another GOROOT of the same release replaces the last one.
	os.Remove(link)
	try.E(os.MkdirAll(filepath.Dir(link), 0o777))
	return os.Symlink(goroot, link)
}

// Run runs detect and compile of each buildpack, given by its directory, in order. It sources
// the buildpack's file export, if there is one, for the next buildpacks. The owner of an app
// chooses its buildpacks so, as on the platform, the build fails if one does not detect. A
// buildpack may write to its directory. When ctx is done, Run kills what is running.
func (b *Build) Run(ctx context.Context, buildpacks ...string) (err error) {
	defer try.Handle(&err)
	for _, dir := range buildpacks {
		export := filepath.Join(dir, "export")
		try.E(os.RemoveAll(export))
		var name bytes.Buffer
		if err := b.program(ctx, &name, dir, "detect", b.App); err != nil {
			b.Stdout.Write(name.Bytes())
			return err
		}
		fmt.Fprintf(b.Stdout, "-----> %s app detected\n", strings.TrimSpace(name.String()))
		try.E(b.program(ctx, b.Stdout, dir, "compile", b.App, b.Cache, b.Env))
		if _, err := os.Stat(filepath.Join(dir, "bin", "release")); err == nil {
			try.E(b.program(ctx, io.Discard, dir, "release", b.App))
		}
		if _, err := os.Stat(export); err == nil {
			b.Environ = try.E1(Source(ctx, export, b.Environ, b.Stderr))
		}
	}
	return nil
}

// program runs one of a buildpack's programs, in a directory that it must not rely on.
func (b *Build) program(ctx context.Context, out io.Writer, dir, name string, args ...string) error {
	cmd := exec.Command(filepath.Join(dir, "bin", name), args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = "/", append(b.Environ[:len(b.Environ):len(b.Environ)], "PWD=/"), out, b.Stderr
	if err := RunGroup(ctx, cmd); err != nil {
		return fmt.Errorf("running bin/%s of the buildpack %s: %w", name, dir, err)
	}
	return nil
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

// RemoveAll is os.RemoveAll for trees that may contain directories without write permission,
// such as a module cache.
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

// Getenv returns the value of key in env: the last one if there are several.
func Getenv(env []string, key string) (string, bool) {
	for i := len(env) - 1; i >= 0; i-- {
		if name, value, ok := strings.Cut(env[i], "="); ok && name == key {
			return value, true
		}
	}
	return "", false
}

// Source returns the environment environ after bash has sourced file, and writes
// what that prints to log.
func Source(ctx context.Context, file string, environ []string, log io.Writer) ([]string, error) {
	env, err := exec.LookPath("env")
	if err != nil {
		return nil, err
	}
	const script = `. "$1" >&2 && exec "$2" -0`
	cmd := exec.Command("bash", "-c", script, "bash", file, env)
	var out bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = environ, &out, log
	if err := RunGroup(ctx, cmd); err != nil {
		return nil, err
	}
	// bash itself sets these.
	set := func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains([]string{"_", "SHLVL", "PWD", "OLDPWD"}, name)
	}
	after := slices.DeleteFunc(strings.Split(strings.TrimSuffix(out.String(), "\x00"), "\x00"), set)
	for _, v := range environ {
		if set(v) {
			after = append(after, v)
		}
	}
	return after, nil
}
