//go:build linux

package script

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/dsnet/try"
)

// messages maps a distinctive part of each message of a step to the test that expects it.
// Messages without a test need a machine or a Go installation that is broken in some unusual
// way.
var messages = map[string]string{
	" linked into ":                                      "agent_linked.txtar",
	"the metrics agent is not linked into ":              "cache_dir_lost.txtar",
	"HMETRICS_INJECT is require, and the metrics agent ": "modules_through_goproxy.txtar",
	"the injector cannot be built: ":                     "cache_dir_lost.txtar",
	" was deleted during the build: run the build again": "cache_dir_lost.txtar",
	" is too old, Go 1.18 is the oldest that works: ":    "ways/releases.txtar",
	"the linker refuses it: ":                            "cache_dir_lost.txtar",
	"s modules: ":                                        "modules_through_goproxy.txtar",
	"-linkshared takes ":                                 "ways/limits.txtar",
	"GOOS is ":                                           "ways/limits.txtar",
	"-buildmode is ":                                     "ways/limits.txtar",
	"HMETRICS_PACKAGES does not select it":               "settings.txtar",
	"HMETRICS_PACKAGES: no program of the app matches ":  "settings.txtar",
	"reading GOFLAGS=":                                   "../../inject/internal/gocmd/flags_test.go",
	"no closing ":                                        "../../inject/internal/gocmd/flags_test.go",
	"no go command started this step":                    "../../inject/internal/gocmd/parent_test.go",
	"reading the go command's flags":                     "../../inject/internal/gocmd/parent_test.go",
	"reading the build ID of ":                           "",
	"its object file has an unknown form":                "",
	"compiling the agent: ":                              "",
	"compiling %s: %s":                                   "",
	"reading the hook: ":                                 "",
	"staging the agent: ":                                "",
	"the injector panicked: ":                            "",
	"its main package was compiled without the hook":     "",
	"with the other -toolexec of this build":             "",
	" did not end within ":                               "",
	"go %s: %w":                                          "",
	"no go command at ":                                  "",
	`buildpack.toml: no line version = "…"`:              "",
	"usage: step ":                                       "",
}

// produced is how Go code and the shell produce messages.
var produced = regexp.MustCompile("\\b(?:Errorf|New|printLine|Ineligible)\\((?:\"((?:[^\"\\\\]|\\\\.)+)\"|`([^`]*)`)" +
	`|\b(?:echo|without_agent) "([^"]* [^"]*)"`)

// The table has each message, and the test that it names expects the message.
func TestMessages(t *testing.T) {
	files := []string{"../../bin/lib/step.sh", "../../bin/lib/release.sh"}
	for _, pattern := range []string{"../../inject/step/*.go", "../../inject/internal/*/*.go"} {
		files = append(files, try.E1(filepath.Glob(pattern))...)
	}
	var printed []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, match := range produced.FindAllStringSubmatch(string(try.E1(os.ReadFile(file))), -1) {
			printed = append(printed, strings.Join(match[1:], ""))
		}
	}
	for part, test := range messages {
		if !slices.ContainsFunc(printed, func(message string) bool { return strings.Contains(message, part) }) {
			t.Errorf("nothing prints %q", part)
		}
		if test != "" && !strings.Contains(string(try.E1(os.ReadFile(test))), part) {
			t.Errorf("%s does not look for %q", test, part)
		}
	}
	known := slices.Collect(maps.Keys(messages))
	for _, message := range printed {
		if !slices.ContainsFunc(known, func(part string) bool { return strings.Contains(message, part) }) {
			t.Errorf("no test looks for %q", message)
		}
	}
}
