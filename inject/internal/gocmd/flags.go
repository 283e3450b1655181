// Package gocmd knows the go command: its flags, its environment variables, how to find the
// one that started a step, and how to run one.
package gocmd

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Flags are the flags of a go command that matter to the agent. The packages of the standard
// library that the app and the agent share must be compiled with the same flags, or the
// linker refuses them.
type Flags struct {
	flagList
	Command string   // build, install, run, …
	Archive []string // flags that change archives, as -name=value, for go list
	Files   []string // Go files named on the command line
	Dir     string   // directory that the go command works in
}

// A use says what a flag or a variable means to the agent.
type use int

const (
	takesValue use = 1 << iota // "-x value" is one flag
	changesArchives
	choosesModules
	holdsPath // relative to the go command's directory
	recorded  // in a program's build information (setBuildInfo in cmd/go/internal/load)
)

// flags are the flags of every subcommand that builds (go help build, run, list, vet, test),
// except boolean ones without a use. Flags of go vet and go test that are missing here change
// no archive.
var flags = map[string]use{
	"C": takesValue, "c": takesValue, "covermode": takesValue, "coverpkg": takesValue, "coverprofile": takesValue,
	"debug-actiongraph": takesValue, "debug-runtime-trace": takesValue, "debug-trace": takesValue, "exec": takesValue,
	"f": takesValue, "fixtool": takesValue, "o": takesValue, "p": takesValue, "pkgdir": takesValue,
	"reuse": takesValue, "toolexec": takesValue, "vettool": takesValue,

	"cover": recorded, "ldflags": takesValue | recorded,

	"asan": changesArchives | recorded, "msan": changesArchives | recorded, "race": changesArchives | recorded,
	"trimpath": changesArchives | recorded,

	"asmflags": takesValue | changesArchives | recorded, "gcflags": takesValue | changesArchives | recorded,
	"buildmode": takesValue | changesArchives | recorded, "compiler": takesValue | changesArchives,
	"gccgoflags": takesValue | changesArchives, "installsuffix": takesValue | changesArchives,

	"mod":     takesValue | choosesModules,
	"modfile": takesValue | choosesModules | holdsPath,
	"overlay": takesValue | changesArchives | choosesModules | holdsPath,
	"pgo":     takesValue | holdsPath,
	"tags":    takesValue | changesArchives | choosesModules | recorded,
}

// IsRecorded reports whether a program's build information records a flag, given as "-name".
func IsRecorded(flag string) bool { return flags[strings.TrimPrefix(flag, "-")]&recorded != 0 }

// A flagList holds flags in the order in which they were given. For most flags, the last
// value counts; for some, the last one that matches a package.
type flagList []flagValue

type flagValue struct{ name, value string }

// Last returns the last value of a flag, or "".
func (l flagList) Last(name string) (value string) {
	for _, f := range l {
		if f.name == name {
			value = f.value
		}
	}
	return value
}

// used returns the flags with a use, as -name=value.
func (l flagList) used(u use) (used []string) {
	for _, f := range l {
		if flags[f.name]&u != 0 {
			used = append(used, "-"+f.name+"="+f.value)
		}
	}
	return used
}

// Modules returns the flags that choose the modules of a build, as -name=value.
func (f Flags) Modules() []string { return f.used(choosesModules) }

// ReadFlags reads the flags of a go command from its command line and the environment
// variable GOFLAGS. As in the go command, the command line takes precedence.
func ReadFlags(args []string, goflags, dir string) (Flags, error) {
	words, err := SplitQuoted(goflags)
	if err != nil {
		return Flags{}, fmt.Errorf("reading GOFLAGS=%s: %w", goflags, err)
	}
	f := Flags{Dir: dir}
	for _, word := range words {
		// In GOFLAGS, a value is never a word of its own.
		if name, value, _, ok := CutFlag(word); ok {
			f.flagList = append(f.flagList, flagValue{name, value})
		}
	}
	f.readCommandLine(args)
	for i, flag := range f.flagList {
		if flags[flag.name]&holdsPath != 0 && flag.value != "" && flag.value != "off" && flag.value != "auto" {
			f.flagList[i].value = Absolute(flag.value, dir)
		}
	}
	f.Archive = f.used(changesArchives)
	if std := standardPatterns(f.Last("coverpkg")); std != "" {
		f.Archive = append(f.Archive, "-cover=true", "-coverpkg="+std)
		if mode := f.Last("covermode"); mode != "" {
			f.Archive = append(f.Archive, "-covermode="+mode)
		}
	}
	return f, nil
}

// readCommandLine adds the flags of a go command's command line, and the Go files that
// it names. Only go test takes flags after packages.
func (f *Flags) readCommandLine(args []string) {
	for args = args[1:]; len(args) > 0; args = args[1:] {
		arg := args[0]
		name, value, hasValue, isFlag := CutFlag(arg)
		switch {
		case arg == "--" || name == "args":
			return
		case isFlag:
			if flags[name]&takesValue != 0 && !hasValue {
				if len(args) == 1 {
					return
				}
				value, args = args[1], args[1:]
			}
			f.flagList = append(f.flagList, flagValue{name, value})
		case f.Command == "":
			f.Command = arg
		case f.Command != "test":
			f.readFiles(args)
			return
		}
	}
}

// readFiles adds the Go files that are named in place of packages. The arguments of go run
// come after them.
func (f *Flags) readFiles(args []string) {
	for _, arg := range args {
		file, err := os.Stat(Absolute(arg, f.Dir))
		if !strings.HasSuffix(arg, ".go") || err == nil && file.IsDir() {
			return
		}
		f.Files = append(f.Files, arg)
	}
}

// standardPatterns returns the patterns of -coverpkg that match standard packages. The agent
// itself is never covered.
func standardPatterns(coverpkg string) string {
	var std []string
	for _, p := range strings.Split(coverpkg, ",") {
		first := strings.SplitN(p, "/", 2)[0]
		switch {
		case p == "all" || p == "...":
			return "std"
		case p != "" && !strings.Contains(first, "."):
			std = append(std, p)
		}
	}
	return strings.Join(std, ",")
}

// CutFlag splits -name, --name, -name=value and --name=value. A flag without a
// value counts as true.
func CutFlag(arg string) (name, value string, hasValue, ok bool) {
	if len(arg) < 2 || arg[0] != '-' {
		return "", "", false, false
	}
	name = strings.TrimPrefix(arg[1:], "-")
	if name == "" || name[0] == '-' || name[0] == '=' {
		return "", "", false, false
	}
	if i := strings.IndexByte(name, '='); i >= 0 {
		return name[:i], name[i+1:], true, true
	}
	return name, "true", false, true
}

// SplitQuoted splits a list as the go command splits GOFLAGS: at white space,
// with '…' or "…" around a whole element that holds some, and no escapes.
func SplitQuoted(s string) ([]string, error) {
	const space = " \t\n\r"
	var words []string
	for {
		s = strings.TrimLeft(s, space)
		if s == "" {
			return words, nil
		}
		end, skip := strings.IndexAny(s, space), 0
		if quote := s[0]; quote == '"' || quote == '\'' {
			s, skip = s[1:], 1
			if end = strings.IndexByte(s, quote); end < 0 {
				return nil, fmt.Errorf("no closing %c", quote)
			}
		} else if end < 0 {
			end = len(s)
		}
		words = append(words, s[:end])
		s = s[end+skip:]
	}
}

// Sanitizes reports whether the build has the race detector or another sanitizer.
func (f Flags) Sanitizes() bool {
	return f.Last("race") == "true" || f.Last("msan") == "true" || f.Last("asan") == "true"
}

// Absolute returns the absolute name of a file, which may be relative to dir.
func Absolute(name, dir string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}
