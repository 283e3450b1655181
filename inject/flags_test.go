package main

import (
	"reflect"
	"strings"
	"testing"
)

func TestReadBuildFlags(t *testing.T) {
	tests := []struct {
		args    string // command line, split at "|"
		goflags string
		archive string // expected, joined by spaces
		module  string
		files   string
		pgo     string
	}{
		{args: "go|build|."},
		{args: "go|build|-race|-o|x|.", archive: "-race=true"},
		{args: "go|build|-o|-race|."},
		{args: "go|install|-v|-tags|heroku|-ldflags|-X a=b -s|./...", archive: "-tags=heroku", module: "-tags=heroku"},
		{args: "go|build|--gcflags=all=-N -l|-mod=vendor|.", archive: "-gcflags=all=-N -l", module: "-mod=vendor"},
		{args: "go|build|-overlay|o.json|.", archive: "-overlay=/app/o.json", module: "-overlay=/app/o.json"},
		{args: "go|build|-modfile=/x/go.mod|.", module: "-modfile=/x/go.mod"},
		{args: "go|build|.", goflags: "-trimpath -toolexec=/x/toolexec '-tags=a b'", archive: "-trimpath=true -tags=a b", module: "-tags=a b"},
		{args: "go|build|-trimpath=false|.", goflags: "-trimpath", archive: "-trimpath=true -trimpath=false"},
		{args: "go|run|-race|main.go|other.go|-msan", archive: "-race=true", files: "main.go other.go"},
		{args: "go|run|-race|./cmd/web|-msan", archive: "-race=true"},
		{args: "go|test|./...|-race|-args|-msan", archive: "-race=true"},
		{args: "go|test|-run|X|-asan|.", archive: "-asan=true"},
		{args: "go|tool|stringer|-race"},
		{args: "go|build|-C|dir|-race|.", archive: "-race=true"},
		{args: "go|build|-gcflags=all=-N|-gcflags=net/http=-l|.", goflags: "-gcflags=all=-B", archive: "-gcflags=all=-B -gcflags=all=-N -gcflags=net/http=-l"},
		{args: "go|build|-pgo|p.pgo|.", pgo: "/app/p.pgo"},
		{args: "go|build|-pgo=auto|.", pgo: "auto"},
	}
	for _, test := range tests {
		f, err := readBuildFlags(strings.Split(test.args, "|"), test.goflags, "/app")
		if err != nil {
			t.Errorf("%s: %v", test.args, err)
			continue
		}
		for _, check := range []struct{ what, got, want string }{
			{"archive flags", strings.Join(f.archive, " "), test.archive},
			{"module flags", strings.Join(f.used(choosesModules), " "), test.module},
			{"files", strings.Join(f.files, " "), test.files},
			{"profile", f.last("pgo"), test.pgo},
		} {
			if check.got != check.want {
				t.Errorf("%s with GOFLAGS=%s: %s: %q, want %q", test.args, test.goflags, check.what, check.got, check.want)
			}
		}
	}
}

func TestReadBuildFlagsNamesABrokenGOFLAGS(t *testing.T) {
	_, err := readBuildFlags([]string{"go", "build"}, "'-tags=a", "/app")
	if err == nil || !strings.Contains(err.Error(), "GOFLAGS='-tags=a: no closing '") {
		t.Errorf("error %v does not name GOFLAGS and what is missing", err)
	}
}

func TestSplitQuoted(t *testing.T) {
	tests := []struct {
		in   string
		want []string
	}{
		{"", nil},
		{" \t\n", nil},
		{"-a -b=c", []string{"-a", "-b=c"}},
		{`'-ldflags=-s -w' "-tags=it's"`, []string{"-ldflags=-s -w", "-tags=it's"}},
		{`-x=a'b c`, []string{"-x=a'b", "c"}},
		{`''-a`, []string{"", "-a"}},
	}
	for _, test := range tests {
		got, err := splitQuoted(test.in)
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("splitQuoted(%q) = %q, %v, want %q", test.in, got, err, test.want)
		}
	}
}

func FuzzReadBuildFlags(f *testing.F) {
	f.Add("go\x00build\x00-tags\x00a", "-trimpath '-x=y z'")
	f.Add("go", "\"")
	f.Fuzz(func(t *testing.T, cmdline, goflags string) {
		flags, err := readBuildFlags(strings.Split(cmdline, "\x00"), goflags, "/app")
		if err != nil {
			return
		}
		for _, flag := range append(flags.archive, flags.used(choosesModules)...) {
			if name, _, hasValue, ok := cutFlag(flag); !ok || !hasValue || goFlags[name]&(changesArchives|choosesModules) == 0 {
				t.Errorf("%q is not a flag to mirror", flag)
			}
		}
	})
}

// Whatever words GOFLAGS can hold, quoted as the go command wants them (go help
// environment), come out as they went in.
func FuzzSplitQuoted(f *testing.F) {
	f.Add("-trimpath\x00-ldflags=-X a=b c\x00-tags='", " \t")
	f.Add("\"", "\n")
	f.Fuzz(func(t *testing.T, joined, space string) {
		splitQuoted(joined)
		if space == "" || strings.Trim(space, " \t\n\r") != "" {
			t.Skip()
		}
		var words, quoted []string
		for _, word := range strings.Split(joined, "\x00") {
			quote := ""
			switch {
			case word == "":
				continue
			case !strings.ContainsAny(word, " \t\n\r") && word[0] != '\'' && word[0] != '"':
			case !strings.Contains(word, "'"):
				quote = "'"
			case !strings.Contains(word, `"`):
				quote = `"`
			default:
				continue // cannot be written
			}
			words, quoted = append(words, word), append(quoted, quote+word+quote)
		}
		got, err := splitQuoted(space + strings.Join(quoted, space))
		if err != nil || !reflect.DeepEqual(got, words) {
			t.Errorf("%q becomes %q (%v)", words, got, err)
		}
	})
}
