package gocmd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A Parent is the running go command whose steps these are. It tells its
// tools neither its flags nor its directory; /proc does.
type Parent struct {
	Args []string // its command line, the program's name first
	Dir  string   // its working directory
}

// FindParent returns the go command that process pid is, or the nearest one above
// it: a -toolexec of the user's own may stand between the two. What the go command
// starts has the variable TOOLEXEC_IMPORTPATH as this process has it; the go
// command, whatever its file is called, has not. An interpreter that runs gocmd, such
// as qemu-user, and its arguments are not part of the command line.
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
	return Parent{}, errors.New("no go command is above the step: build with go build, go install or go run")
}

// withoutInterpreter returns a command line from gocmd on, if exe is another program.
// The kernel may add the name by which gocmd was started (binfmt_misc, flag P).
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
// "pid (comm) state ppid …", where comm may hold spaces and parentheses. It returns
// 0 if there is none.
func parseStat(stat string) (parent int) {
	fmt.Sscanf(stat[strings.LastIndexByte(stat, ')')+1:], " %s %d", new(string), &parent)
	return parent
}
