package main

import (
	"context"
	"encoding/json"
	"strings"
)

// reach are the variables, besides those in goReach, that say how this machine
// reaches the network, the user's credentials and the user's language.
var reach = []string{
	"HOME", "USER", "LOGNAME", "PATH", "LANG", "LC_ALL", "XDG_CONFIG_HOME",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO",
	"NETRC", "SSH_AUTH_SOCK", "GIT_SSH_COMMAND", "GIT_CONFIG_GLOBAL", "GIT_TERMINAL_PROMPT",
}

// goReach are the go command's settings of the same kind, which may be in its own
// file as well as in the environment. GOMODCACHE is one of them so that what the
// user has downloaded is there. Everything else in that file, GOFLAGS above all,
// is the user's and not the platform's.
var goReach = []string{
	"GOAUTH", "GOINSECURE", "GOMODCACHE", "GONOPROXY", "GONOSUMDB", "GOPRIVATE", "GOPROXY", "GOSUMDB", "GOTOOLCHAIN", "GOVCS",
}

// buildEnviron returns the environment that the platform's build has here, and
// the GOROOT of the go command.
func buildEnviron(ctx context.Context, environ []string, goCommand func(ctx context.Context, dir string, args ...string) ([]byte, error), dir string) (env []string, goroot string, err error) {
	for _, key := range reach {
		if value, ok := lookup(environ, key); ok {
			env = append(env, key+"="+value)
		}
	}
	out, err := goCommand(ctx, dir, append([]string{"env", "-json", "GOROOT"}, goReach...)...)
	if err != nil {
		return nil, "", err
	}
	values := map[string]string{}
	if err := json.Unmarshal(out, &values); err != nil {
		return nil, "", err
	}
	for _, key := range goReach {
		if values[key] != "" {
			env = append(env, key+"="+values[key])
		}
	}
	return append(env, "GOENV=off", "STACK=heroku-24"), values["GOROOT"], nil
}

// lookup returns the value of key in environ, the last one if there are several.
func lookup(environ []string, key string) (string, bool) {
	for i := len(environ) - 1; i >= 0; i-- {
		if name, value, ok := strings.Cut(environ[i], "="); ok && name == key {
			return value, true
		}
	}
	return "", false
}
