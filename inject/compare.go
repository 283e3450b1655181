package main

import (
	"debug/buildinfo"
	"debug/elf"
	"debug/gosym"
	"fmt"
	"runtime/debug"
	"strings"
)

// compare returns an error if a rebuilt program differs from the old one by more than the
// agent. The new build information must have everything that the old one has. The new program
// must have every function of the old one, in the same size. The linker may keep more of a
// package's functions than before.
func compare(old, rebuilt string) error {
	was, err := buildinfo.ReadFile(old)
	if err != nil {
		return err
	}
	is, err := buildinfo.ReadFile(rebuilt)
	if err != nil {
		return err
	}
	if a, b := describe(was, nil), describe(is, was); a != b {
		return fmt.Errorf("its build information is\n%s\nin place of\n%s", b, a)
	}
	before, err := functions(old)
	if err != nil {
		return err
	}
	after, err := functions(rebuilt)
	if err != nil {
		return err
	}
	for name, size := range before {
		now, ok := after[name]
		if d := now - size; !ok || size != 0 && now != 0 && (d <= -largestAlign || d >= largestAlign) {
			return fmt.Errorf("function %s has %d bytes in place of %d", name, now, size)
		}
	}
	return nil
}

// largestAlign limits the padding after a function, which depends on the next function and
// its position.
const largestAlign = 64

// describe returns a program's build information, except what the agent adds to that of the
// program without it.
func describe(info, without *debug.BuildInfo) string {
	known := make(map[string]bool)
	if without != nil {
		for _, m := range without.Deps {
			known[m.Path+m.Version] = true
		}
	}
	text := fmt.Sprintln(info.GoVersion, info.Path, info.Main.Path, info.Main.Version, info.Main.Sum)
	for _, m := range info.Deps {
		if without == nil || known[m.Path+m.Version] {
			text += fmt.Sprintln(m.Path, m.Version, m.Sum, m.Replace)
		}
	}
	for _, s := range info.Settings {
		if !strings.HasPrefix(s.Key, "hmetrics.") {
			text += s.Key + "=" + s.Value + "\n"
		}
	}
	return text
}

// functions returns the sizes of a program's functions, even if it is stripped. Two packages
// may share an instance of a generic function, and two functions may share a name, such as a
// wrapper's. The size of these is 0.
func functions(name string) (map[string]int64, error) {
	f, err := elf.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sizes := make(map[string]int64)
	for _, s := range f.Sections {
		if !strings.HasSuffix(s.Name, ".gopclntab") {
			continue
		}
		data, err := s.Data()
		if err != nil {
			return nil, err
		}
		table, err := gosym.NewTable(nil, gosym.NewLineTable(data, 0))
		if err != nil {
			return nil, err
		}
		for _, fn := range table.Funcs {
			_, twice := sizes[fn.Name]
			sizes[fn.Name] = int64(fn.End - fn.Entry)
			if twice || strings.Contains(fn.Name, "[") || strings.HasPrefix(fn.Name, "type:") {
				sizes[fn.Name] = 0
			}
		}
	}
	return sizes, nil
}
