package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
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
// binaries as extra. The release phase is not a process type.
func findProcesses(app string, binaries []string) (list, extra []process, err error) {
	if len(binaries) == 0 {
		return nil, nil, errors.New("the build installed no binary: is there a main package in the app?")
	}
	seen := map[string]bool{}
	f, err := os.Open(filepath.Join(app, "Procfile"))
	if err == nil {
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			m := procfileLine.FindStringSubmatch(strings.TrimSpace(s.Text()))
			if m == nil || m[1] == "release" {
				continue
			}
			if name := runs(m[2], binaries); name != "" {
				list = append(list, process{name: m[1], command: m[2], binary: name})
				seen[name] = true
			}
		}
	}
	for _, name := range binaries {
		p := process{name: name, command: "bin/" + name, binary: name}
		if !seen[name] {
			extra = append(extra, p)
		}
	}
	if len(list) == 0 {
		list, extra = extra, nil
	}
	return list, extra, nil
}

// runs returns the first of the binaries that a command runs, or nothing.
func runs(command string, binaries []string) string {
	first := true // bin is in the PATH, so the command's name may be all there is
	for _, word := range strings.Fields(command) {
		word = strings.Trim(word, `"'`)
		if name := filepath.Base(word); contains(binaries, name) && (strings.HasSuffix(word, "bin/"+name) || first && name == word) {
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
			if !contains(names, by(p)) {
				names = append(names, by(p))
			}
		}
	}
	return nil, fmt.Errorf("the app has no process %q; it has %s", name, strings.Join(names, ", "))
}
