package herokugo

import (
	"bytes"
	"context"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// Getenv returns the value of key in env, the last one if there are several.
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
	// These bash sets by itself.
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
