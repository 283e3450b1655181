//go:build linux

package script

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
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

// The table has each message, and the test that it names expects the message.
func TestMessages(t *testing.T) {
	printed := goMessages(t)
	for _, file := range []string{"../../bin/lib/step.sh", "../../bin/lib/release.sh"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(`(?:\becho|without_agent) "([^"]* [^"]*)"`).FindAllStringSubmatch(string(text), -1) {
			printed = append(printed, match[1])
		}
	}
	for part, test := range messages {
		if !slices.ContainsFunc(printed, func(message string) bool { return strings.Contains(message, part) }) {
			t.Errorf("nothing prints %q", part)
		}
		if text, err := os.ReadFile(test); test != "" && (err != nil || !strings.Contains(string(text), part)) {
			t.Errorf("%s does not look for %q (%v)", test, part, err)
		}
	}
	for _, message := range printed {
		known := false
		for part := range messages {
			known = known || strings.Contains(message, part)
		}
		if !known {
			t.Errorf("no test looks for %q", message)
		}
	}
}

// goMessages returns what the packages of a step pass to functions that produce messages.
func goMessages(t *testing.T) (printed []string) {
	files, err := filepath.Glob("../../inject/step/*.go")
	more, _ := filepath.Glob("../../inject/internal/*/*.go")
	if err != nil || len(files) == 0 || len(more) == 0 {
		t.Fatal("no sources")
	}
	for _, name := range append(files, more...) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			name := ""
			switch fun := call.Fun.(type) {
			case *ast.SelectorExpr:
				name = fun.Sel.Name
			case *ast.Ident:
				name = fun.Name
			}
			arg := call.Args[0]
			if sum, ok := arg.(*ast.BinaryExpr); ok {
				arg = sum.X
			}
			if literal, ok := arg.(*ast.BasicLit); ok && slices.Contains([]string{"Errorf", "New", "printLine", "Ineligible"}, name) {
				text, err := strconv.Unquote(literal.Value)
				if err == nil {
					printed = append(printed, text)
				}
			}
			return true
		})
	}
	return printed
}
