package main

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"strconv"
	"strings"
)

// Settings of the build information that are flags of go build, and those that
// are environment variables. They are what setBuildInfo in
// cmd/go/internal/load records, whose comments say why not all is.
var (
	flagSettings = strings.Fields("-asan -asmflags -buildmode -cover -gcflags -ldflags -msan -race -tags -trimpath")
	envSettings  = strings.Fields("CGO_ENABLED CGO_CFLAGS CGO_CPPFLAGS CGO_CXXFLAGS CGO_LDFLAGS GOARCH GOOS " +
		"GOEXPERIMENT GOFIPS140 GO386 GOAMD64 GOARM GOARM64 GOMIPS GOMIPS64 GOPPC64 GORISCV64")
)

// settings returns what the build information of a binary has recorded, and
// what its Go release does not record yet: -buildmode before Go 1.20, which the
// file shows, and -trimpath before Go 1.19, of which GOFLAGS is the only trace.
func (r rebuilder) settings(b *debug.BuildInfo, file string) map[string]string {
	recorded := make(map[string]string)
	for _, s := range b.Settings {
		recorded[s.Key] = s.Value
	}
	if recorded["-buildmode"] == "" {
		recorded["-buildmode"] = buildmode(file)
	}
	if goMinor(b.GoVersion) < 19 && r.goflags()["-trimpath"] == "true" {
		recorded["-trimpath"] = "true"
	}
	return recorded
}

// buildmode tells a program that is loaded at one address, one that is not, and
// a library.
func buildmode(file string) string {
	f, err := elf.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	if f.Type == elf.ET_EXEC {
		return "exe"
	}
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return "pie"
		}
	}
	return "c-shared"
}

// goflags returns the flags that GOFLAGS names.
func (r rebuilder) goflags() map[string]string {
	named := make(map[string]string)
	words, _ := splitQuoted(getenv(r.env, "GOFLAGS"))
	for _, word := range words {
		if name, value, _, ok := cutFlag(word); ok {
			named["-"+name] = value
		}
	}
	return named
}

// recipe returns the flags and the environment that a binary's settings tell of.
func (r rebuilder) recipe(b *binary) (flags, env []string) {
	recorded, named := b.settings, r.goflags()
	for _, key := range flagSettings {
		value, ok := recorded[key]
		other, isNamed := named[key]
		switch {
		case key == "-buildmode" && value == "exe" && other != "pie":
			continue // what it is called if it is not given, and then the binary is another one
		case ok:
		case key == "-ldflags" && recorded["-trimpath"] == "true":
			continue // it may have been there
		case !isNamed:
			continue
		case strings.HasSuffix(key, "flags") || key == "-tags":
		default:
			value = "false"
		}
		flags = append(flags, key+"="+value)
	}

	switch pgo, ok := recorded["-pgo"]; {
	case ok && filepath.IsAbs(pgo):
		flags = append(flags, "-pgo="+pgo)
	case !ok && named["-pgo"] == "" && goMinor(b.build.GoVersion) >= 21:
		flags = append(flags, "-pgo=off") // or a profile would have been found
	}
	if recorded["vcs"] == "" {
		flags = append(flags, "-buildvcs=false")
	}
	// heroku/go's own rule.
	module := r.modules[b.build.Main.Path]
	if dir, err := os.Stat(filepath.Join(r.app, "vendor")); err == nil && dir.IsDir() && module == filepath.Clean(r.app) {
		if sum, err := os.Stat(filepath.Join(r.app, "go.sum")); err == nil && sum.Size() > 0 {
			flags = append(flags, "-mod=vendor")
		}
	}

	for _, key := range envSettings {
		value, ok := recorded[key]
		switch {
		case ok:
		case !strings.HasPrefix(key, "GO"):
			continue // CGO_CFLAGS and the like are not recorded under -trimpath
		case key == "GOFIPS140":
			value = "off"
		}
		env = append(env, key+"="+value)
	}
	return flags, env
}

// unrecorded returns the flags beside those of the recipe that may have been
// there, in the order in which they are to be tried.
func (r rebuilder) unrecorded(b *binary) [][]string {
	none := [][]string{nil}
	symbol, value := getenv(r.env, "GO_LINKER_SYMBOL"), getenv(r.env, "GO_LINKER_VALUE")
	if b.settings["-trimpath"] != "true" || symbol == "" || value == "" {
		return none
	}
	return append([][]string{{"-ldflags=-X " + symbol + "=" + value}}, none...)
}

// withoutBuildpack returns a value of GOFLAGS without the -toolexec of a copy of
// this buildpack that came before the Go buildpack. A -toolexec of the user's
// own stays.
func withoutBuildpack(goflags string) string {
	words, err := splitQuoted(goflags)
	if err != nil {
		return goflags
	}
	for _, word := range words {
		name, program, _, ok := cutFlag(word)
		if !ok || name != "toolexec" || !strings.HasSuffix(program, "/bin/toolexec") {
			continue
		}
		if b, err := os.ReadFile(program); err == nil && bytes.Contains(b, []byte("HMETRICS_STAGE")) {
			goflags = strings.Replace(goflags, word, "", 1)
		}
	}
	return strings.TrimSpace(goflags)
}

// goMinor returns 21 for go1.21.3, and a high number for a Go under development.
func goMinor(version string) int {
	f := strings.FieldsFunc(strings.TrimPrefix(version, "go1."), func(c rune) bool { return c < '0' || c > '9' })
	if !strings.HasPrefix(version, "go1.") || len(f) == 0 {
		return 1 << 20
	}
	n, err := strconv.Atoi(f[0])
	if err != nil {
		return 1 << 20
	}
	return n
}

// withoutAgent returns build information without what injection added.
func withoutAgent(b *debug.BuildInfo) *debug.BuildInfo {
	out := *b
	out.Settings = nil
	for _, s := range b.Settings {
		ours := s.Key == injectionSetting
		for _, d := range destinations {
			ours = ours || s.Key == d.setting
		}
		if !ours {
			out.Settings = append(out.Settings, s)
		}
	}
	if len(out.Settings) < len(b.Settings) {
		out.Deps, _ = splitDeps(b)
	}
	return &out
}

// difference says in which way a binary is built otherwise than it was before,
// or "". What is recorded of the app's repository does not count: it changes
// with each file that the build leaves.
func difference(was, is *debug.BuildInfo) string {
	if was.GoVersion != is.GoVersion {
		return "another Go release: " + is.GoVersion + ", not " + was.GoVersion
	}
	if was.Path != is.Path || was.Main.Path != is.Main.Path || setting(was, "vcs") == "" && !reflect.DeepEqual(was.Main, is.Main) {
		return "another main module: " + is.Main.Path + " " + is.Main.Version + ", not " + was.Main.Path + " " + was.Main.Version
	}
	if len(was.Deps) != len(is.Deps) {
		return fmt.Sprintf("%d modules, not %d", len(is.Deps), len(was.Deps))
	}
	for i, m := range is.Deps {
		if !reflect.DeepEqual(m, was.Deps[i]) {
			return "another version of " + m.Path
		}
	}
	values := func(b *debug.BuildInfo) map[string]string {
		m := make(map[string]string)
		for _, s := range b.Settings {
			if s.Key != "vcs" && !strings.HasPrefix(s.Key, "vcs.") {
				m[s.Key] = s.Value
			}
		}
		return m
	}
	before, after := values(was), values(is)
	for _, m := range []map[string]string{before, after} {
		for _, key := range sortedKeys(m) {
			if a, b := before[key], after[key]; a != b {
				return fmt.Sprintf("another %s: %q, not %q", key, b, a)
			}
		}
	}
	return ""
}

// goBuildID returns the build ID of an ELF binary, or "" if it has none.
func goBuildID(content []byte) (string, error) {
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return "", err
	}
	s := f.Section(".note.go.buildid")
	if s == nil {
		return "", nil
	}
	note, err := s.Data()
	if err != nil {
		return "", err
	}
	// Three words, the second of them the size of what follows "Go\0\0".
	if len(note) < 16 {
		return "", fmt.Errorf("the section %s is too short", s.Name)
	}
	size := f.ByteOrder.Uint32(note[4:])
	if uint64(size) > uint64(len(note)-16) {
		return "", fmt.Errorf("the section %s is too short", s.Name)
	}
	return string(note[16 : 16+size]), nil
}

// asLinked reports whether the content is what the go command put there: the
// last part of the build ID is its hash, taken with zeros in the place of the
// build ID (cmd/internal/buildid) and, since Go 1.24, of the host's build ID.
func asLinked(content []byte, id string) bool {
	blank := bytes.ReplaceAll(content, []byte(id), make([]byte, len(id)))
	want := id[strings.LastIndexByte(id, '/')+1:]
	if hashOf(blank) == want {
		return true
	}
	f, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return false
	}
	s := f.Section(".note.gnu.build-id")
	if s == nil || s.Size < 16 || s.Offset+s.Size > uint64(len(blank)) {
		return false
	}
	host := blank[s.Offset+16 : s.Offset+s.Size]
	copy(host, make([]byte, len(host)))
	return hashOf(blank) == want
}

// hashOf returns a hash in the form that it has in build IDs.
func hashOf(b []byte) string {
	sum := sha256.Sum256(b)
	return base64.RawURLEncoding.EncodeToString(sum[:15])
}
