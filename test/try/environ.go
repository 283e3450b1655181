//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/herokugo"
)

// reach matches the variables, besides those in goReach, that say how this machine
// reaches the network, the user's credentials and the user's language.
var reach = regexp.MustCompile(`(?i)^(HOME|USER|LOGNAME|PATH|LANG|LC_ALL|XDG_CONFIG_HOME|(HTTP|HTTPS|NO|ALL)_PROXY|SSL_CERT_(FILE|DIR)|CURL_CA_BUNDLE|NETRC|SSH_AUTH_SOCK|GIT_(SSL_CAINFO|SSH_COMMAND|CONFIG_GLOBAL|TERMINAL_PROMPT))=`)

// goReach are the go command's settings of the same kind, which may be in its own
// file as well as in the environment. GOMODCACHE is one of them so that what the
// user has downloaded is there. Everything else in that file, GOFLAGS above all,
// is the user's and not the platform's.
var goReach = []string{
	"GOAUTH", "GOINSECURE", "GOMODCACHE", "GONOPROXY", "GONOSUMDB", "GOPRIVATE", "GOPROXY", "GOSUMDB", "GOTOOLCHAIN", "GOVCS",
}

// buildEnviron returns the environment that the platform's build has here, and
// the GOROOT of the go command.
func (s *session) buildEnviron(ctx context.Context) (env []string, goroot string, err error) {
	for _, v := range s.environ {
		if reach.MatchString(v) {
			env = append(env, v)
		}
	}
	out, err := s.goCommand(ctx, s.buildpack, append([]string{"env", "-json", "GOROOT"}, goReach...))
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

// readDotenv returns the assignments in a file as heroku local reads it: a line
// each, with an optional comment, and quotes around a value taken away. There need
// be no such file.
func readDotenv(file string) ([]string, error) {
	b, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the app's .env: %w", err)
	}
	var env []string
	for i, line := range strings.Split(string(b), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		m := dotenvLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("reading the app's .env: line %d is not NAME=VALUE", i+1)
		}
		env = append(env, m[1]+"="+m[2]+m[3]+m[4]) // at most one of the three is not empty
	}
	return env, nil
}

// unset returns the variables that the app seems to lack: those of which text, what
// it has printed, says the name, and if there are none, those that the sources in
// dir read; less those in environ.
func unset(text, dir string, environ []string) []string {
	var names []string
	add := func(re *regexp.Regexp, s string) {
		for _, m := range re.FindAllStringSubmatch(s, -1) {
			if _, ok := herokugo.Getenv(environ, m[1]); !ok && !slices.Contains(names, m[1]) {
				names = append(names, m[1])
			}
		}
	}
	if add(variable, text); len(names) > 0 {
		return names
	}
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
		case d.IsDir() && (d.Name() == "vendor" || d.Name() == "testdata"):
			return fs.SkipDir
		case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
			b, _ := os.ReadFile(path)
			add(getenv, string(b))
		}
		return nil
	})
	return names[:min(len(names), 8)]
}

var (
	dotenvLine = regexp.MustCompile(`^([^=\s]+)\s*=\s*(?:"([^"]*)".*|'([^']*)'.*|([^"'#][^#]*?)?\s*(?:#.*)?)$`)

	variable = regexp.MustCompile(`\b([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b`)
	getenv   = regexp.MustCompile(`os\.(?:Getenv|LookupEnv)\("([A-Z_][A-Z0-9_]*)"\)`)
)
