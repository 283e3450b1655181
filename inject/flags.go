package main

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// buildFlags is what the flags of a go command mean for the archives of the
// standard library and of the agent. Both must be compiled alike in the app's
// build and in ours, or the linker refuses them.
type buildFlags struct {
	Archive   []string // flags that change archives, as -name=value, for go list
	Module    []string // flags that choose the app's modules, likewise
	Buildmode string   // value of -buildmode, or ""
	Shared    bool     // -linkshared
	PGO       string   // value of -pgo, or "": the go command's default
	Build     []string // all flags of the command line that go build takes
	Files     []string // Go files named on the command line
	Dir       string   // directory the go command works in
	Command   string   // its first word: build, install, …
}

// Flags that take a value, in every go subcommand that builds (go help build,
// go help run, go help list, go help vet). "-x value" is one flag only for these.
var valueFlags = flagSet("C asmflags buildmode c compiler coverpkg covermode coverprofile debug-actiongraph " +
	"debug-runtime-trace debug-trace exec f gccgoflags gcflags installsuffix ldflags mod modfile o overlay p pgo " +
	"pkgdir reuse tags toolexec vettool fixtool")

var (
	// go vet and go test know more, but none of theirs changes an archive.
	archiveFlags = flagSet("asan asmflags buildmode compiler gccgoflags gcflags installsuffix msan overlay race tags trimpath")
	moduleFlags  = flagSet("mod modfile overlay tags")
	pathFlags    = flagSet("overlay modfile pgo")
	// What names results, or belongs to other subcommands than go build.
	ownFlags = flagSet("C o n x exec f reuse c vettool fixtool coverprofile toolexec debug-actiongraph debug-runtime-trace debug-trace")
)

func flagSet(names string) map[string]bool {
	set := make(map[string]bool)
	for _, name := range strings.Fields(names) {
		set[name] = true
	}
	return set
}

// readBuildFlags reads the flags of a go command from its command line and the
// environment variable GOFLAGS. As in the go command, the command line wins.
func readBuildFlags(args []string, goflags, dir string) (buildFlags, error) {
	values := make(map[string]string)
	words, err := splitQuoted(goflags)
	if err != nil {
		return buildFlags{}, fmt.Errorf("reading GOFLAGS=%s: %w", goflags, err)
	}
	for _, word := range words {
		// GOFLAGS holds whole flags only.
		if name, value, _, ok := cutFlag(word); ok {
			values[name] = value
		}
	}

	f := buildFlags{Dir: dir}
	args = args[1:]
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		name, value, hasValue, ok := cutFlag(arg)
		switch {
		case arg == "--" || name == "args":
			args = nil
			continue
		case !ok && f.Command == "":
			f.Command = arg
			continue
		case !ok && strings.HasSuffix(arg, ".go"):
			f.Files = append(f.Files, arg)
			continue
		case !ok && (f.Command == "run" || f.Command == "tool"):
			// What follows the package belongs to the program.
			args = nil
			continue
		case !ok:
			continue
		case valueFlags[name] && !hasValue:
			if len(args) == 0 {
				continue
			}
			value, args = args[0], args[1:]
		}
		values[name] = value
		if !ownFlags[name] {
			f.Build = append(f.Build, "-"+name+"="+value)
		}
	}

	for name := range pathFlags {
		if v := values[name]; v != "" && v != "off" && v != "auto" && !filepath.IsAbs(v) {
			values[name] = filepath.Join(dir, v)
		}
	}
	f.Buildmode, f.PGO = values["buildmode"], values["pgo"]
	f.Shared, _ = strconv.ParseBool(values["linkshared"])
	f.Archive = selectFlags(values, archiveFlags)
	if std := standardPatterns(values["coverpkg"]); std != "" {
		f.Archive = append(f.Archive, "-cover=true", "-coverpkg="+std)
		if mode := values["covermode"]; mode != "" {
			f.Archive = append(f.Archive, "-covermode="+mode)
		}
	}
	f.Module = selectFlags(values, moduleFlags)
	return f, nil
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

func selectFlags(values map[string]string, set map[string]bool) []string {
	var flags []string
	for _, name := range sortedKeys(values) {
		if set[name] {
			flags = append(flags, "-"+name+"="+values[name])
		}
	}
	return flags
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
