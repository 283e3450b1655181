package gocmd

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestReadFlags(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "web.go")
	if err := os.Mkdir(directory, 0o777); err != nil {
		t.Fatal(err)
	}
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
		{args: "go|build|./web|-coverpkg=./...,net/http|-race"},
		{args: "go|vet|-race|.|-msan", archive: "-race=true"},
		{args: "go|build|" + directory + "|other.go"},
		{args: "go|build|-gcflags=all=-N|-gcflags=net/http=-l|.", goflags: "-gcflags=all=-B", archive: "-gcflags=all=-B -gcflags=all=-N -gcflags=net/http=-l"},
		{args: "go|build|-pgo|p.pgo|.", pgo: "/app/p.pgo"},
		{args: "go|build|-pgo=auto|.", pgo: "auto"},
	}
	for _, test := range tests {
		f, err := ReadFlags(strings.Split(test.args, "|"), test.goflags, "/app")
		if err != nil {
			t.Errorf("%s: %v", test.args, err)
			continue
		}
		for _, check := range []struct{ what, got, want string }{
			{"archive flags", strings.Join(f.Archive, " "), test.archive},
			{"module flags", strings.Join(f.Modules(), " "), test.module},
			{"files", strings.Join(f.Files, " "), test.files},
			{"profile", f.Last("pgo"), test.pgo},
		} {
			if check.got != check.want {
				t.Errorf("%s with GOFLAGS=%s: %s: %q, want %q", test.args, test.goflags, check.what, check.got, check.want)
			}
		}
	}
}

func TestReadFlagsNamesABrokenGOFLAGS(t *testing.T) {
	_, err := ReadFlags([]string{"go", "build"}, "'-tags=a", "/app")
	if err == nil || !strings.Contains(err.Error(), "reading GOFLAGS='-tags=a: no closing '") {
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
		got, err := SplitQuoted(test.in)
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("SplitQuoted(%q) = %q, %v, want %q", test.in, got, err, test.want)
		}
	}
}

func FuzzReadFlags(f *testing.F) {
	f.Add("go\x00build\x00-tags\x00a", "-trimpath '-x=y z'")
	f.Add("go", "\"")
	f.Fuzz(func(t *testing.T, cmdline, goflags string) {
		read, err := ReadFlags(strings.Split(cmdline, "\x00"), goflags, "/app")
		if err != nil {
			return
		}
		for _, flag := range append(read.Archive, read.Modules()...) {
			if name, _, hasValue, ok := CutFlag(flag); !ok || !hasValue || flags[name]&(changesArchives|choosesModules) == 0 {
				t.Errorf("%q is not a flag to mirror", flag)
			}
		}
	})
}

// Any words that GOFLAGS can contain, quoted as the go command expects (go help environment),
// are read back unchanged.
func FuzzSplitQuoted(f *testing.F) {
	f.Add("-trimpath\x00-ldflags=-X a=b c\x00-tags='", " \t")
	f.Add("\"", "\n")
	f.Fuzz(func(t *testing.T, joined, space string) {
		SplitQuoted(joined)
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
		got, err := SplitQuoted(space + strings.Join(quoted, space))
		if err != nil || !reflect.DeepEqual(got, words) {
			t.Errorf("%q becomes %q (%v)", words, got, err)
		}
	})
}
