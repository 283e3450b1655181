package main

import (
	"os"
	"path/filepath"
	"strings"
)

// compile runs the compile step of a main package with one more file, which calls the hook.
// The link step decides what the hook does.
func (s step) compile() error {
	config := value(s.args, "-importcfg")
	switch {
	case config == "":
	case strings.HasPrefix(filepath.Base(s.args[len(s.args)-1]), "_testmain."): // the driver of a test is not a program
	case contains(s.args, "-linkshared"): // no package can be added; the link step says so
	default:
		args, err := s.hooked(config)
		if err != nil {
			return s.exec(uncached(s.args)) // the link step says so
		}
		return s.exec(args)
	}
	return s.exec(s.args)
}

// hooked returns the compiler's arguments with the file that calls the hook and with an
// import config that has the hook.
func (s step) hooked(config string) ([]string, error) {
	text, err := os.ReadFile(config)
	if err != nil {
		return nil, err
	}
	packages := parseImportConfig(string(text))
	if packages.archives[hookPath] != "" { // the app's own; the link step says so
		return s.args, nil
	}
	hook, err := s.hook(isShared(s.args))
	if err != nil {
		return nil, err
	}
	packages.set(hookPath, hook)
	source, err := os.ReadFile(s.stage.Path(hookSources, "main.go.txt"))
	if err != nil {
		return nil, err
	}
	file := filepath.Join(filepath.Dir(config), "hmetrics.go")
	if err := os.WriteFile(file, source, 0o666); err != nil {
		return nil, err
	}
	if err := os.WriteFile(config+".hmetrics", []byte(packages.String()), 0o666); err != nil {
		return nil, err
	}
	return append(replace(s.args, "-importcfg", config+".hmetrics"), file), nil
}

// isShared reports whether a step produces code that can be loaded at any address.
func isShared(args []string) bool {
	mode := value(args, "-buildmode")
	return contains(args, "-shared") || mode == "pie" || strings.HasPrefix(mode, "c-")
}
