package main

import (
	"fmt"
	"path/filepath"
	"strings"
)

// buildFlags is what the flags of a go command mean for the agent. What the app
// and the agent both use of the standard library must be compiled alike, or the
// linker refuses it.
type buildFlags struct {
	flagList
	archive []string // flags that change archives, as -name=value, for go list
	files   []string // Go files named on the command line
	dir     string   // directory that the go command works in
}

// What a flag is to us.
const (
	takesValue = 1 << iota // "-x value" is one flag
	changesArchives
	choosesModules
	holdsPath // relative to the go command's directory
)

// goFlags are the flags of every subcommand that builds (go help build, run,
// list, vet, test), but for boolean ones that mean nothing to us. A flag of go vet
// and go test that is missing here changes no archive.
var goFlags = map[string]int{
	"C": takesValue, "c": takesValue, "covermode": takesValue, "coverpkg": takesValue, "coverprofile": takesValue,
	"debug-actiongraph": takesValue, "debug-runtime-trace": takesValue, "debug-trace": takesValue, "exec": takesValue,
	"f": takesValue, "fixtool": takesValue, "ldflags": takesValue, "o": takesValue, "p": takesValue, "pkgdir": takesValue,
	"reuse": takesValue, "toolexec": takesValue, "vettool": takesValue,

	"asan": changesArchives, "msan": changesArchives, "race": changesArchives, "trimpath": changesArchives,

	"buildmode": takesValue | changesArchives, "compiler": takesValue | changesArchives, "installsuffix": takesValue | changesArchives,

	"asmflags": takesValue | changesArchives, "gccgoflags": takesValue | changesArchives,
	"gcflags": takesValue | changesArchives,

	"mod":     takesValue | choosesModules,
	"modfile": takesValue | choosesModules | holdsPath,
	"overlay": takesValue | changesArchives | choosesModules | holdsPath,
	"pgo":     takesValue | holdsPath,
	"tags":    takesValue | changesArchives | choosesModules,
}

// A flagList is flags in the order in which they were given. Of most the last one
// counts, of some the last one that matches a package.
type flagList []flagValue

type flagValue struct{ name, value string }

// last returns the last value of a flag, or "".
func (l flagList) last(name string) (value string) {
	for _, f := range l {
		if f.name == name {
			value = f.value
		}
	}
	return value
}

// used returns the flags that are put to the use, as -name=value.
func (l flagList) used(use int) (flags []string) {
	for _, f := range l {
		if goFlags[f.name]&use != 0 {
			flags = append(flags, "-"+f.name+"="+f.value)
		}
	}
	return flags
}

// readBuildFlags reads the flags of a go command from its command line and the
// environment variable GOFLAGS. As in the go command, the command line wins.
func readBuildFlags(args []string, goflags, dir string) (buildFlags, error) {
	words, err := splitQuoted(goflags)
	if err != nil {
		return buildFlags{}, fmt.Errorf("reading GOFLAGS=%s: %w", goflags, err)
	}
	var list flagList
	for _, word := range words {
		// GOFLAGS holds whole flags only.
		if name, value, _, ok := cutFlag(word); ok {
			list = append(list, flagValue{name, value})
		}
	}
	files := list.readCommandLine(args)
	for i, f := range list {
		if goFlags[f.name]&holdsPath != 0 && f.value != "" && f.value != "off" && f.value != "auto" {
			list[i].value = absolute(f.value, dir)
		}
	}
	f := buildFlags{list, list.used(changesArchives), files, dir}
	if std := standardPatterns(list.last("coverpkg")); std != "" {
		f.archive = append(f.archive, "-cover=true", "-coverpkg="+std)
		if mode := list.last("covermode"); mode != "" {
			f.archive = append(f.archive, "-covermode="+mode)
		}
	}
	return f, nil
}

// readCommandLine adds the flags of a go command's command line, and returns the Go
// files that it names.
func (l *flagList) readCommandLine(args []string) (files []string) {
	command := ""
	for args = args[1:]; len(args) > 0; {
		arg := args[0]
		args = args[1:]
		name, value, hasValue, isFlag := cutFlag(arg)
		switch {
		case arg == "--" || name == "args" || isFlag && command == "run" && len(files) > 0:
			return files
		case isFlag:
			if goFlags[name]&takesValue != 0 && !hasValue {
				if len(args) == 0 {
					return files
				}
				value, args = args[0], args[1:]
			}
			*l = append(*l, flagValue{name, value})
		case command == "":
			command = arg
		case strings.HasSuffix(arg, ".go"):
			files = append(files, arg)
		case command == "run" || command == "tool":
			return files // what follows the package belongs to the program
		}
	}
	return files
}

// standardPatterns returns those of the patterns of -coverpkg that match
// standard packages. The agent itself is never to be covered.
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

// cutFlag splits -name, --name, -name=value and --name=value. A flag without a
// value counts as true.
func cutFlag(arg string) (name, value string, hasValue, ok bool) {
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

// splitQuoted splits a list as the go command splits GOFLAGS: at white space,
// with '…' or "…" around a whole element that holds some, and no escapes.
func splitQuoted(s string) ([]string, error) {
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

// sanitizes reports whether the build has a race detector or the like.
func (f buildFlags) sanitizes() bool {
	return f.last("race") == "true" || f.last("msan") == "true" || f.last("asan") == "true"
}

// absolute returns the name of a file that is given relative to dir.
func absolute(name, dir string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// vendored reports whether a build takes the app's dependencies from a vendor
// directory: it is told so, or finds one (go help modules).
func vendored(flags buildFlags) bool {
	if mod := flags.last("mod"); mod != "" {
		return mod == "vendor"
	}
	for _, dir := range parents(flags.dir) {
		if (exists(filepath.Join(dir, "go.mod")) || exists(filepath.Join(dir, "go.work"))) && exists(filepath.Join(dir, "vendor", "modules.txt")) {
			return true
		}
	}
	return false
}
