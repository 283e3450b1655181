// Package herokugo builds an app the way Heroku does with classic buildpacks,
// on this machine and with the Go that is already on it.
//
// A Build is what the platform knows of one build; Run takes it through
// buildpacks in their order: *Dir is a buildpack in a directory, *Go does what
// the official heroku/go buildpack does.
package herokugo

import (
	"context"
	"errors"
	"io"
	"os/exec"
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

// A Buildpack takes part in a Build.
type Buildpack interface {
	// Detect returns the name of what the buildpack found, such as "Go", or
	// an error if the app is not for it.
	Detect(context.Context, *Build) (string, error)
	// Compile does the buildpack's part of the build.
	Compile(context.Context, *Build) error
}

// Run has each buildpack detect and compile, in the order given. The buildpacks
// of an app are chosen by its owner, so one that does not detect fails the build,
// as on the platform. When ctx is done, whatever is running is killed.
func (b *Build) Run(ctx context.Context, packs ...Buildpack) error {
	for _, p := range packs {
		name, err := p.Detect(ctx, b)
		if err != nil {
			return err
		}
		step(b.Stdout, name+" app detected")
		if err := p.Compile(ctx, b); err != nil {
			return err
		}
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

// exited reports whether err says that a command ran and failed, rather than
// that it could not be run or was interrupted.
func exited(err error) bool {
	var e *exec.ExitError
	return errors.As(err, &e)
}
