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
	agent bool
	own   string
}

var procfileLine = regexp.MustCompile(`^([A-Za-z0-9_-]+):\s*(.+)$`)

// findProcesses returns the process types in the app's Procfile that run one of
// the binaries, or one for each binary if there are none, and those of the other
// binaries as extra. The release phase is not a process type. Warnings are about
// lines of the Procfile that do not do what was meant.
func findProcesses(app string, binaries []string) (list, extra []process, warnings []string, err error) {
	if len(binaries) == 0 {
		return nil, nil, nil, errors.New("the build installed no binary: is there a main package in the app?")
	}
	warn := func(format string, args ...any) {
		warnings = append(warnings, "Procfile: "+fmt.Sprintf(format, args...))
	}
	procfile, err := os.ReadFile(filepath.Join(app, "Procfile"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil, fmt.Errorf("reading the Procfile: %w", err)
	}
	seen := map[string]bool{}
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
		name, command := m[1], m[2]
		binary := runs(command, binaries)
		switch {
		case binary == "" && strings.HasPrefix(program(command), "bin/") && !isFile(filepath.Join(app, program(command))):
			warn("%s runs %s, which the build has not made; it has made bin/%s", name, program(command), strings.Join(binaries, ", bin/"))
		case binary == "":
			warn("%s runs %s, which is no Go program of the app: it is not started here, and reports nothing", name, program(command))
		case name == "release":
			warn("release is not run here; on Heroku it runs before each new release starts: %s", command)
		default:
			list = append(list, process{name: name, command: command, binary: binary})
			seen[binary] = true
		}
	}
	for _, name := range binaries {
		if !seen[name] {
			extra = append(extra, process{name: name, command: "bin/" + name, binary: name})
		}
	}
	if len(list) == 0 {
		list, extra = extra, nil
	}
	return list, extra, warnings, nil
}

// program returns the program that a command starts, such as bin/web.
func program(command string) string {
	for _, word := range strings.Fields(command) {
		if word = strings.Trim(word, `"'`); word != "exec" && !strings.Contains(word, "=") {
			return strings.TrimPrefix(word, "./")
		}
	}
	return command
}

// runs returns the first of the binaries that a command runs, or nothing.
func runs(command string, binaries []string) string {
	first := true // bin is in the PATH, so the command's name may be all there is
	for _, word := range strings.Fields(command) {
		word = strings.Trim(word, `"'`)
		if name := filepath.Base(word); slices.Contains(binaries, name) && (strings.HasSuffix(word, "bin/"+name) || first && name == word) {
			return name
		}
		first = first && (word == "exec" || strings.Contains(word, "="))
	}
	return ""
}

// chooseProcesses returns those with the given name, of a process type or of a
// binary, or all of list if it is empty.
func chooseProcesses(list, extra []process, name string) ([]process, error) {
	if name == "" {
		return list, nil
	}
	var names []string
	for _, by := range []func(process) string{
		func(p process) string { return p.name },
		func(p process) string { return p.binary },
	} {
		for _, p := range append(list[:len(list):len(list)], extra...) {
			if by(p) == name {
				return []process{p}, nil
			}
			if !slices.Contains(names, by(p)) {
				names = append(names, by(p))
			}
		}
	}
	return nil, fmt.Errorf("the app has no process %q; it has %s", name, strings.Join(names, ", "))
}
