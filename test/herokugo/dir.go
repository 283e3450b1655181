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
)

// Dir is a classic buildpack in a directory.
type Dir struct {
	// Path is the buildpack's root. It is not written to: each Compile works
	// on a fresh copy, as the platform does on one that it has downloaded.
	Path string
	// Tmp is where those copies are put and left. They must outlive the
	// build, since what the buildpack exports may point into them.
	Tmp string
	// Exported says whether the last Compile left an export file.
	Exported bool
}

// Detect runs bin/detect.
func (d *Dir) Detect(ctx context.Context, b *Build) (string, error) {
	var name bytes.Buffer
	cmd := d.command(b, d.Path, "detect", b.App)
	cmd.Stdout, cmd.Stderr = &name, b.Stderr
	if err := RunGroup(ctx, cmd); err != nil {
		if exited(err) {
			b.Stdout.Write(name.Bytes())
			return "", fmt.Errorf("app not compatible with the buildpack %s: bin/detect: %w", d.Path, err)
		}
		return "", fmt.Errorf("running bin/detect of the buildpack %s: %w", d.Path, err)
	}
	return strings.TrimSpace(name.String()), nil
}

// Compile runs bin/compile and bin/release, and sources the export file, if
// there is one, for the buildpacks that follow.
func (d *Dir) Compile(ctx context.Context, b *Build) error {
	d.Exported = false
	root, err := os.MkdirTemp(d.Tmp, "buildpack_")
	if err != nil {
		return fmt.Errorf("copying the buildpack %s: %w", d.Path, err)
	}
	if _, err := CopyTree(root, d.Path); err != nil {
		return fmt.Errorf("copying the buildpack %s: %w", d.Path, err)
	}
	export := filepath.Join(root, "export")
	if err := os.Remove(export); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("copying the buildpack %s: %w", d.Path, err)
	}

	cmd := d.command(b, root, "compile", b.App, b.Cache, b.Env)
	cmd.Stdout, cmd.Stderr = b.Stdout, b.Stderr
	if err := RunGroup(ctx, cmd); err != nil {
		return fmt.Errorf("running bin/compile of the buildpack %s: %w", d.Path, err)
	}
	if _, err := os.Stat(filepath.Join(root, "bin", "release")); err == nil {
		cmd := d.command(b, root, "release", b.App)
		cmd.Stderr = b.Stderr
		if err := RunGroup(ctx, cmd); err != nil {
			return fmt.Errorf("running bin/release of the buildpack %s: %w", d.Path, err)
		}
	}
	if _, err := os.Stat(export); err != nil {
		return nil
	}
	if b.Environ, err = Source(ctx, export, b.Environ, b.Stderr); err != nil {
		return fmt.Errorf("sourcing the export file of the buildpack %s: %w", d.Path, err)
	}
	d.Exported = true
	return nil
}

// command returns a call of one of the buildpack's programs. The working
// directory is one that no program may rely on.
func (d *Dir) command(b *Build, root, program string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(root, "bin", program), args...)
	cmd.Dir = "/"
	cmd.Env = setenv(b.Environ, "PWD", "/")
	return cmd
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
	after := strings.Split(strings.TrimSuffix(out.String(), "\x00"), "\x00")

	// These bash sets by itself.
	for _, key := range []string{"_", "SHLVL", "PWD", "OLDPWD"} {
		after = unsetenv(after, key)
		if value, ok := Getenv(environ, key); ok {
			after = setenv(after, key, value)
		}
	}
	return after, nil
}
