package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A goCommand is the running go command whose steps these are. It tells its
// tools neither its flags nor that two steps belong together; /proc does.
type goCommand struct {
	pid   int
	start string   // clock ticks from boot to its start; tells it from a later process of the same pid
	space string   // its PID namespace: containers may share a build cache
	args  []string // its command line, the program's name first
	dir   string   // its working directory
}

// findGoCommand returns the go command that process pid is, or the nearest one
// above it: a program of the user's may stand between the two.
func findGoCommand(proc string, pid int) (goCommand, error) {
	first := pid
	for hops := 0; pid > 1 && hops < 16; hops++ {
		dir := filepath.Join(proc, strconv.Itoa(pid))
		stat, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil {
			return goCommand{}, fmt.Errorf("reading the go command's flags: %w", err)
		}
		parent, start, ok := parseStat(string(stat))
		if !ok {
			return goCommand{}, fmt.Errorf("reading the go command's flags: %s/stat is malformed", dir)
		}
		if exe, err := os.Readlink(filepath.Join(dir, "exe")); err == nil && filepath.Base(strings.TrimSuffix(exe, " (deleted)")) == "go" {
			g := goCommand{pid: pid, start: start}
			if space, err := os.Readlink(filepath.Join(dir, "ns", "pid")); err == nil {
				g.space = strings.Trim(space, "pid:[]")
			}
			cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
			if err != nil {
				return goCommand{}, fmt.Errorf("reading the go command's flags: %w", err)
			}
			g.args = strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00")
			if g.dir, err = os.Readlink(filepath.Join(dir, "cwd")); err != nil {
				return goCommand{}, fmt.Errorf("reading the go command's working directory: %w", err)
			}
			return g, nil
		}
		pid = parent
	}
	return goCommand{}, fmt.Errorf("no go command above process %d", first)
}

// parseStat returns the parent and the start time of a process from its
// /proc/PID/stat (man 5 proc): "pid (comm) state ppid …", where comm may hold
// spaces and parentheses.
func parseStat(stat string) (parent int, start string, ok bool) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return 0, "", false
	}
	parent, err := strconv.Atoi(fields[1])
	return parent, fields[19], err == nil
}

// name tells the go command from every other one since the machine started.
func (g goCommand) name() string { return g.space + "-" + strconv.Itoa(g.pid) + "-" + g.start }
