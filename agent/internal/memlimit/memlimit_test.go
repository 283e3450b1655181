//go:build linux && go1.20

package memlimit

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if size := os.Getenv("CHURN"); size != "" {
		if setting := os.Getenv("HMETRICS_MEMORY_LIMIT"); setting != "" {
			Apply(setting)
		}
		churn(size)
		return
	}
	os.Exit(m.Run())
}

// files writes name=content below a directory of its own.
func files(t *testing.T, set ...string) (root string) {
	root = t.TempDir()
	for _, s := range set {
		name, content, _ := strings.Cut(s, "=")
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content+"\n"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestTheContainersLimit(t *testing.T) {
	const v1, v2, top = "proc/self/cgroup=3:cpu:/x\n4:memory:/a/b\n0::/", "proc/self/cgroup=0::/a/b", "sys/fs/cgroup/"
	for _, c := range []struct {
		name  string
		files []string
		limit int64
		file  string
	}{
		{"no control groups", nil, 0, ""},
		{"version 2", []string{v2, top + "a/b/memory.max=500"}, 500, "/sys/fs/cgroup/a/b/memory.max"},
		{"version 2, above", []string{v2, top + "a/b/memory.max=500", top + "a/memory.max=400"}, 400, "/sys/fs/cgroup/a/memory.max"},
		{"version 2, throttled", []string{v2, top + "a/b/memory.max=500", top + "a/b/memory.high=450"}, 450, "/sys/fs/cgroup/a/b/memory.high"},
		{"version 2, in a namespace", []string{"proc/self/cgroup=0::/", top + "memory.max=500", top + "memory.high=max"}, 500, "/sys/fs/cgroup/memory.max"},
		{"version 2, the path of the host", []string{v2, top + "memory.max=500"}, 500, "/sys/fs/cgroup/memory.max"},
		{"version 2, none", []string{v2, top + "a/b/memory.max=max"}, 0, ""},
		{"version 2, unreadable", []string{v2, top + "a/b/memory.max=", top + "a/memory.max/directory="}, 0, ""},
		{"version 1", []string{v1, top + "memory/a/b/memory.limit_in_bytes=500"}, 500, "/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes"},
		{"version 1, none", []string{v1, top + "memory/a/b/memory.limit_in_bytes=9223372036854771712"}, 0, ""},
		{"version 1, as Docker and Heroku mount it", []string{v1, top + "memory/memory.limit_in_bytes=536870912"}, 536870912, "/sys/fs/cgroup/memory/memory.limit_in_bytes"},
		{"another process's", []string{v2, top + "c/memory.max=500"}, 0, ""},
	} {
		if limit, file := container(files(t, c.files...)); limit != c.limit || file != c.file {
			t.Errorf("%s: %d in %s, want %d in %s", c.name, limit, file, c.limit, c.file)
		}
	}
}

func TestSettings(t *testing.T) {
	root := files(t, "proc/self/cgroup=0::/", "sys/fs/cgroup/memory.max=1000")
	for setting, want := range map[string]int64{
		"90%": 900, "100%": 1000, "12.5%": 125,
		"400MiB": 400 << 20, "1TiB": 1 << 40, "3GiB": 3 << 30, "5KiB": 5 << 10, "12345": 12345, "12345B": 12345,
		"101%": -1, "0%": -1, "-1%": -1, "%": -1, "NaN%": -1, "ten%": -1, "400MB": -1, "400Mi": -1, "1BKiB": -1, "0": -1, "-5": -1, "off": -1, "9999999TiB": -1, "1e9": -1, "MiB": -1,
	} {
		limit, _, ok := parse(setting, root)
		if !ok {
			limit = -1
		}
		if limit != want {
			t.Errorf("%s: %d, want %d", setting, limit, want)
		}
	}
	if limit, reason, ok := parse("90%", t.TempDir()); limit != 0 || !ok || !strings.Contains(reason, "no limit") {
		t.Errorf("%d, %s, %v", limit, reason, ok)
	}
}

// A limit that the user or the program set stays, and an invalid setting sets none.
func TestPrecedence(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(-1))
	for _, c := range []struct {
		gomemlimit, setting string
		before, after       int64
		says                string
	}{
		{"", "1GiB", math.MaxInt64, 1 << 30, "memory limit of 1073741824 bytes: set by HMETRICS_MEMORY_LIMIT"},
		{"", " 1GiB ", math.MaxInt64, 1 << 30, "memory limit of 1073741824 bytes"},
		{"off", "1GiB", math.MaxInt64, math.MaxInt64, "HMETRICS_MEMORY_LIMIT sets no memory limit: GOMEMLIMIT is set"},
		{"2GiB", "1GiB", 2 << 30, 2 << 30, "GOMEMLIMIT is set"},
		{"", "1GiB", 3 << 30, 3 << 30, "the program has set one"},
		{"", "1GB", math.MaxInt64, math.MaxInt64, "HMETRICS_MEMORY_LIMIT must be a percentage of the container's limit, such as 90%, or a size, such as 400MiB"},
	} {
		t.Setenv("GOMEMLIMIT", c.gomemlimit)
		debug.SetMemoryLimit(c.before)
		said := Apply(c.setting)
		if after := debug.SetMemoryLimit(-1); after != c.after || !strings.Contains(said, c.says) {
			t.Errorf("%+v: %d, %q", c, after, said)
		}
	}
}

// A churned is the result of a program that keeps memory and makes garbage.
type churned struct {
	PeakMiB float64 // of the memory that GOMEMLIMIT is about
	GC      float64 // part of the CPU time that was not idle
	Limit   int64
}

// churn keeps size MiB, replaces them for some seconds, and prints the result.
func churn(size string) {
	var n int
	fmt.Sscan(size, &n)
	live := make([][]byte, n)
	read := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}, {Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/cpu/classes/total:cpu-seconds"}, {Name: "/cpu/classes/idle:cpu-seconds"}}
	result := churned{Limit: debug.SetMemoryLimit(-1)}
	began := time.Now()
	for i := 0; i < 8*n || time.Since(began) < time.Second; i++ {
		b := make([]byte, 1<<20)
		for j := 0; j < len(b); j += 4096 {
			b[j] = 1
		}
		live[i%n] = b
		metrics.Read(read[:2])
		if used := float64(read[0].Value.Uint64()-read[1].Value.Uint64()) / (1 << 20); used > result.PeakMiB {
			result.PeakMiB = used
		}
	}
	runtime.GC()
	metrics.Read(read)
	result.GC = read[2].Value.Float64() / (read[3].Value.Float64() - read[4].Value.Float64())
	runtime.KeepAlive(live)
	json.NewEncoder(os.Stdout).Encode(result)
}
