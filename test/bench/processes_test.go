package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sort"
	"strings"
	"syscall"
)

// processes are what a command started, itself among them.
type processes struct {
	started  int
	programs map[string]int // how often each was executed, by name
}

func (p processes) String() string {
	var names []string
	for name := range p.programs {
		names = append(names, name)
	}
	sort.Strings(names)
	for i, name := range names {
		names[i] = fmt.Sprintf("%s %d", name, p.programs[name])
	}
	return strings.Join(names, ", ")
}

// countProcesses runs a command to its end under ptrace, which tells of every
// process that it starts, however short-lived. The caller must have no other
// child process.
func countProcesses(cmd *exec.Cmd) (processes, error) {
	p := processes{started: 1, programs: map[string]int{}}
	runtime.LockOSThread() // the thread that traces
	defer runtime.UnlockOSThread()
	out, err := os.CreateTemp("", "")
	if err != nil {
		return p, err
	}
	defer os.Remove(out.Name())
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out // no pipe, whose reader would be waited for
	cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	if err := cmd.Start(); err != nil {
		return p, fmt.Errorf("tracing %s: %w", cmd.Path, err)
	}
	root := cmd.Process.Pid
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(root, &status, 0, nil); err != nil {
		return p, err
	}
	const options = syscall.PTRACE_O_TRACEFORK | syscall.PTRACE_O_TRACEVFORK | syscall.PTRACE_O_TRACECLONE | syscall.PTRACE_O_TRACEEXEC | 0x100000 // EXITKILL
	if err := syscall.PtraceSetOptions(root, options); err != nil {
		cmd.Process.Kill()
		cmd.Process.Wait()
		return p, fmt.Errorf("tracing %s: %w", cmd.Path, err)
	}
	executed := func(pid int) {
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if err == nil {
			p.programs[strings.TrimSpace(string(name))]++
		}
	}
	executed(root)
	begun := map[int]bool{root: true}
	pid, signal := root, 0
	for {
		if err := syscall.PtraceCont(pid, signal); err != nil && err != syscall.ESRCH {
			return p, fmt.Errorf("tracing process %d: %w", pid, err)
		}
	wait:
		var err error
		pid, err = syscall.Wait4(-1, &status, syscall.WALL, nil)
		switch {
		case err == syscall.EINTR:
			goto wait
		case err != nil:
			return p, fmt.Errorf("tracing %s: %w", cmd.Path, err)
		case status.Exited() || status.Signaled():
			if pid != root {
				goto wait
			}
			if status.ExitStatus() != 0 {
				log, _ := os.ReadFile(out.Name())
				return p, errors.New(strings.Join(cmd.Args, " ") + " failed:\n" + tail(string(log)))
			}
			return p, nil
		}
		signal = 0
		if stop := status.StopSignal(); stop == syscall.SIGTRAP && status.TrapCause() > 0 {
			switch status.TrapCause() {
			case syscall.PTRACE_EVENT_FORK, syscall.PTRACE_EVENT_VFORK:
				p.started++
			case syscall.PTRACE_EVENT_EXEC:
				executed(pid)
			}
		} else if stop == syscall.SIGSTOP && !begun[pid] {
			begun[pid] = true // every new thread and process begins so
		} else {
			signal = int(stop)
		}
	}
}
