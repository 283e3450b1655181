//go:build linux && go1.19

// Package memlimit sets Go's memory limit to that of the container, or to a percentage of
// it.
//
// It reads control groups itself. The library for that needs a newer Go than the agent may
// use, and sets a limit as soon as it is imported.
package memlimit

import (
	"fmt"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
)

// Apply sets the limit that a value of HMETRICS_MEMORY_LIMIT asks for, and returns a line
// with the result.
func Apply(setting string) string {
	limit, reason, ok := parse(strings.TrimSpace(setting), "")
	switch {
	case !ok:
		return "HMETRICS_MEMORY_LIMIT must be a percentage of the container's limit, such as 90%, or a size, such as 400MiB: setting no limit"
	case os.Getenv("GOMEMLIMIT") != "":
		reason, limit = "GOMEMLIMIT is set", 0
	case debug.SetMemoryLimit(-1) != math.MaxInt64:
		reason, limit = "the program has set one", 0
	}
	if limit == 0 {
		return "HMETRICS_MEMORY_LIMIT sets no memory limit: " + reason
	}
	debug.SetMemoryLimit(limit)
	return fmt.Sprintf("memory limit of %d bytes: %s", limit, reason)
}

// parse returns the limit that a setting asks for, and where it comes from, or 0 and why
// there is none.
func parse(setting, root string) (limit int64, reason string, ok bool) {
	if part := strings.TrimSuffix(setting, "%"); part != setting {
		percent, err := strconv.ParseFloat(part, 64)
		of, file := container(root)
		if limit, reason = int64(float64(of)*percent/100), fmt.Sprintf("%s of %d in %s", setting, of, file); of == 0 {
			reason = "no limit of the container can be read"
		}
		return limit, reason, err == nil && percent > 0 && percent <= 100
	}
	units := map[string]int{"": 0, "B": 0, "KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40} // powers of two
	number := strings.TrimRight(setting, "BiKMGT")
	shift, known := units[setting[len(number):]]
	n, err := strconv.ParseInt(number, 10, 63-shift)
	return n << shift, "set by HMETRICS_MEMORY_LIMIT", known && err == nil && n > 0
}

// container returns the lowest limit of the process's control groups, of version 1 and 2,
// in bytes, and the file that has it. It returns 0 if there is none.
func container(root string) (lowest int64, file string) {
	for _, line := range strings.Split(read(root+"/proc/self/cgroup"), "\n") {
		group := strings.SplitN(line, ":", 3) // number, controllers, path; version 2 names no controllers
		if len(group) < 3 || group[1] != "" && group[1] != "memory" {
			continue
		}
		for dir := path.Join("/", group[2]); ; dir = path.Dir(dir) {
			for _, name := range []string{"memory.max", "memory.high", "memory.limit_in_bytes"} {
				name = path.Join("/sys/fs/cgroup", group[1], dir, name)
				// No limit is max or, in version 1, a number of 63 bits.
				n, err := strconv.ParseInt(strings.TrimSpace(read(root+name)), 10, 62)
				if err == nil && n > 0 && (lowest == 0 || n < lowest) {
					lowest, file = n, name
				}
			}
			if dir == "/" {
				break
			}
		}
	}
	return lowest, file
}

// read returns the first bytes of a file, or none. It does not use the runtime's poller,
// which would open a descriptor for the rest of the process.
func read(name string) string {
	b := make([]byte, 4096)
	fd, err := syscall.Open(name, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer syscall.Close(fd)
	n, err := syscall.Read(fd, b)
	if err != nil {
		return ""
	}
	return string(b[:n])
}
