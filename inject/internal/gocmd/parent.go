package gocmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A Parent is the running go command that started a step. It passes its tools neither its
// flags nor its directory, so they come from /proc.
type Parent struct {
	Args []string // its command line, the program's name first
	Dir  string   // its working directory
}

// FindParent returns the go command with process ID pid, or the nearest one above it: the
// user's own -toolexec may run between the two. Whatever the go command starts has the same
// variable TOOLEXEC_IMPORTPATH as this process; the go command itself, whatever its file is
// called, does not. The result leaves out an interpreter that runs gocmd, such as qemu-user,
// and its arguments.
func FindParent(proc string, pid int, importPath, gocmd string) (Parent, error) {
	for pid > 1 {
		dir := filepath.Join(proc, strconv.Itoa(pid))
		env, err := os.ReadFile(filepath.Join(dir, "environ"))
		cmdline, cerr := os.ReadFile(filepath.Join(dir, "cmdline"))
		cwd, derr := os.Readlink(filepath.Join(dir, "cwd"))
		stat, serr := os.ReadFile(filepath.Join(dir, "stat"))
		for _, err := range []error{err, cerr, derr, serr} {
			if err != nil {
				return Parent{}, fmt.Errorf("reading the go command's flags: %w", err)
			}
		}
		if Getenv(strings.Split(string(env), "\x00"), "TOOLEXEC_IMPORTPATH") != importPath {
			args := strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00")
			return Parent{withoutInterpreter(args, filepath.Join(dir, "exe"), gocmd), cwd}, nil
		}
		pid = parseStat(string(stat))
	}
	return Parent{}, errors.New("no go command started this step: build with go build, go install or go run")
}

// withoutInterpreter returns the command line from gocmd on, if exe is another program. The
// kernel may add the name that gocmd was started with (binfmt_misc, flag P).
func withoutInterpreter(args []string, exe, gocmd string) []string {
	program, err := os.Stat(gocmd)
	if err != nil {
		return args
	}
	runs := func(name string) bool {
		file, err := os.Stat(name)
		return err == nil && os.SameFile(file, program)
	}
	for i := range args {
		if runs(exe) || !runs(args[i]) {
			continue
		}
		if next := args[i+1:]; len(next) > 0 && filepath.Base(next[0]) == filepath.Base(args[i]) {
			return next
		}
		return args[i:]
	}
	return args
}

// parseStat returns the parent of a process from its /proc/PID/stat (man 5 proc):
// "pid (comm) state ppid …", where comm may contain spaces and parentheses. It returns 0 if
// there is none.
func parseStat(stat string) (parent int) {
	fmt.Sscanf(stat[strings.LastIndexByte(stat, ')')+1:], " %s %d", new(string), &parent)
	return parent
}
