//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A process is a process type of the app.
type process struct {
	name    string
	command string // for bash, in the app's directory
	binary  string // the one of the build's binaries that it runs

	// What will report, if anything: see inspect.
	agent    bool
	reporter string
	noOTLP   string // why the agent sends nothing by OTLP; empty if it does

	port    int
	environ []string
}

var procfileLine = regexp.MustCompile(`^([A-Za-z0-9_-]+):\s*(.+)$`)

// findProcesses returns the process types in the app's Procfile that run one of
// the binaries, or one for each binary if there are none; or the one of the given
// name, of a process type or else of a binary. The release phase is not a process
// type. Warnings are about lines of the Procfile that do not do what was meant.
func findProcesses(app string, binaries []string, name string) (list []process, warnings []string, err error) {
	if len(binaries) == 0 {
		return nil, nil, errors.New("the build installed no binary: is there a main package in the app?")
	}
	warn := func(format string, args ...any) {
		warnings = append(warnings, "Procfile: "+fmt.Sprintf(format, args...))
	}
	procfile, err := os.ReadFile(filepath.Join(app, "Procfile"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("reading the Procfile: %w", err)
	}
	for i, line := range strings.Split(string(procfile), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		m := procfileLine.FindStringSubmatch(line)
		if m == nil {
			warn("line %d is not NAME: COMMAND, so Heroku ignores it: %s", i+1, line)
			continue
		}
		name, words := m[1], words(m[2])
		binary := runs(words, binaries)
		switch {
		case binary == "" && strings.HasPrefix(words[0], "bin/") && !isFile(filepath.Join(app, words[0])):
			warn("%s runs %s, which the build has not made; it has made bin/%s", name, words[0], strings.Join(binaries, ", bin/"))
		case binary == "":
			warn("%s runs %s, which is no Go program of the app: it is not started here, and reports nothing", name, words[0])
		case name == "release":
			warn("release is not run here; on Heroku it runs before each new release starts: %s", m[2])
		default:
			list = append(list, process{name: name, command: m[2], binary: binary})
		}
	}
	all := slices.Clone(list)
	for _, binary := range binaries {
		if !slices.ContainsFunc(list, func(p process) bool { return p.binary == binary }) {
			all = append(all, process{name: binary, command: "bin/" + binary, binary: binary})
		}
	}
	if len(list) == 0 {
		list = all
	}
	if name == "" {
		return list, warnings, nil
	}
	list, err = choose(all, name)
	return list, warnings, err
}

func choose(all []process, name string) ([]process, error) {
	var names []string
	for _, by := range []func(process) string{func(p process) string { return p.name }, func(p process) string { return p.binary }} {
		for _, p := range all {
			if by(p) == name {
				return []process{p}, nil
			}
			names = append(names, by(p))
		}
	}
	slices.Sort(names)
	return nil, usageError{fmt.Errorf("the app has no process %q; it has %s", name, strings.Join(slices.Compact(names), ", "))}
}

// words returns those of a command from its program on, such as bin/web.
func words(command string) []string {
	list := strings.Fields(strings.NewReplacer(`"`, "", "'", "").Replace(command))
	i := slices.IndexFunc(list, func(w string) bool { return w != "exec" && !strings.Contains(w, "=") })
	if i < 0 {
		return []string{command}
	}
	list = list[i:]
	list[0] = strings.TrimPrefix(list[0], "./")
	return list
}

// runs returns the first of the binaries that the words of a command run, or nothing.
func runs(words, binaries []string) string {
	for i, word := range words {
		name := filepath.Base(word)
		// bin is in the PATH, so the program's name may be all there is.
		if slices.Contains(binaries, name) && (strings.HasSuffix(word, "bin/"+name) || i == 0 && name == word) {
			return name
		}
	}
	return ""
}
