package herokugo

import "strings"

// Getenv returns the value of key in env, the last one if there are several.
func Getenv(env []string, key string) (string, bool) {
	for i := len(env) - 1; i >= 0; i-- {
		if name, value, ok := strings.Cut(env[i], "="); ok && name == key {
			return value, true
		}
	}
	return "", false
}

// setenv returns a copy of env in which key has the given value.
func setenv(env []string, key, value string) []string {
	return append(unsetenv(env, key), key+"="+value)
}

// unsetenv returns a copy of env without key.
func unsetenv(env []string, key string) []string {
	out := make([]string, 0, len(env)+1)
	for _, e := range env {
		if name, _, _ := strings.Cut(e, "="); name != key {
			out = append(out, e)
		}
	}
	return out
}
