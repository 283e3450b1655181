// Package machine holds what the commands below test share: where the checkout is, a
// directory that is kept between runs, how this machine reaches modules, and their flags.
package machine

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
)

// Checkout returns the root of the buildpack's checkout: the one that this package was
// compiled in or, after -trimpath, the one around the working directory.
func Checkout() (string, error) {
	_, file, _, _ := runtime.Caller(0)
	dir, err := filepath.Abs(file)
	for err == nil && dir != "/" {
		dir = filepath.Dir(dir)
		if _, err := os.Stat(filepath.Join(dir, "bin", "toolexec")); err == nil {
			return dir, nil
		}
	}
	return "", fmt.Errorf("%s is not in the buildpack's checkout: run this there", file)
}

// CopyBuildpack copies the files of the checkout root that a platform has to dir. It opens
// files by names that begin with root, unchanged.
func CopyBuildpack(dir, root string) error {
	for _, part := range []string{"bin", "agent", "inject"} {
		if err := os.CopyFS(filepath.Join(dir, part), os.DirFS(root+"/"+part)); err != nil {
			return fmt.Errorf("copying the buildpack: %w", err)
		}
	}
	for _, name := range []string{"go.mod", "go.sum", "buildpack.toml"} {
		content, err := os.ReadFile(root + "/" + name)
		if err := errors.Join(err, os.WriteFile(filepath.Join(dir, name), content, 0o666)); err != nil {
			return fmt.Errorf("copying the buildpack: %w", err)
		}
	}
	return nil
}

// CacheDir returns the directory in the user's cache that a command keeps between runs. It is
// not the go command's own build cache, so the command's builds cannot affect that.
func CacheDir(command string) string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "heroku-buildpack-go-metrics", command)
}

// ErrLocked is the error if another process has the lock.
var ErrLocked = errors.New("another run works there")

// Lock creates dir, and locks it for this process until the file is closed.
func Lock(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	return f, nil
}

// Path returns the PATH of a build with the Go in goroot.
func Path(goroot string) string {
	return filepath.Join(goroot, "bin") + ":/usr/local/bin:/usr/bin:/bin"
}

// GOROOT returns the root of a Go release, named as for GOTOOLCHAIN. It fetches the release if
// necessary.
func GOROOT(ctx context.Context, release string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOROOT")
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOTOOLCHAIN="+release)
	cmd.Dir = os.TempDir() // an old release cannot read the checkout's go.work
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = errors.New(strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("fetching %s: %w", release, err)
	}
	return strings.TrimSpace(string(out)), nil
}

// reach are the go command's settings, and proxies the variables, that say how this
// machine reaches Go modules.
var (
	reach = []string{"GOAUTH", "GOINSECURE", "GOMODCACHE", "GONOPROXY", "GONOSUMDB", "GOPRIVATE", "GOPROXY", "GOSUMDB", "GOVCS"}
	proxy = regexp.MustCompile(`(?i)^((HTTP|HTTPS|NO|ALL)_PROXY|SSL_CERT_(FILE|DIR))=`)
)

// Environ returns the environment of a build with the local Go, without HOME and TMPDIR, and
// the values of GOROOT and of the given settings of the go command. From the user's
// environment and settings, it takes only what says how this machine reaches Go modules, and
// GOMODCACHE for the modules that the user already has.
func Environ(ctx context.Context, settings ...string) (environ, values []string, err error) {
	settings = append([]string{"GOROOT"}, settings...)
	cmd := exec.CommandContext(ctx, "go", slices.Concat([]string{"env"}, settings, reach)...)
	cmd.Env = append(os.Environ(), "GOFLAGS=")
	cmd.Dir = os.TempDir()
	out, err := cmd.Output()
	if err != nil {
		return nil, nil, fmt.Errorf("go env: %w", err)
	}
	values = strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	environ = []string{"PATH=" + Path(values[0]), "GOENV=off", "GOFLAGS=", "GOTOOLCHAIN=local"}
	for i, name := range reach {
		if value := values[len(settings)+i]; value != "" {
			environ = append(environ, name+"="+value)
		}
	}
	for _, v := range os.Environ() {
		if proxy.MatchString(v) {
			environ = append(environ, v)
		}
	}
	return environ, values[:len(settings)], nil
}

// ParseFlags parses args. If they ask for help, it writes help and a line for each flag
// to out and returns flag.ErrHelp. It prints no other error: the caller does.
func ParseFlags(fs *flag.FlagSet, args []string, out io.Writer, help string) error {
	fs.SetOutput(io.Discard)
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(out, "%s\n\nFlags:\n", help)
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		defer w.Flush()
		fs.VisitAll(func(f *flag.Flag) {
			value, usage := flag.UnquoteUsage(f)
			if !slices.Contains([]string{"", "0", "0s", "false"}, f.DefValue) {
				usage += " (default " + f.DefValue + ")"
			}
			fmt.Fprintf(w, "  -%s %s\t%s\n", f.Name, value, usage)
		})
	}
	return err
}
