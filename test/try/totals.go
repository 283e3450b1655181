package main

import (
	"bufio"
	"debug/dwarf"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hmetrics/heroku-buildpack-go-metrics/test/page"
)

const (
	readEvery = 50 * time.Millisecond
	// A report arrives that long after it was made, at most. What the collector
	// does meanwhile cannot be held against it.
	readSlack = time.Second
)

// totals knows the counters of running processes from their memory, where the Go
// runtime keeps them. That takes nothing from the process and needs nothing of it:
// it neither stops nor prints anything.
type totals struct {
	log func(format string, args ...interface{})

	over    chan struct{}
	running sync.WaitGroup

	mu        sync.Mutex
	processes map[string]*watched
}

func newTotals(log func(format string, args ...interface{})) *totals {
	return &totals{log: log, over: make(chan struct{}), processes: map[string]*watched{}}
}

// close stops reading.
func (t *totals) close() {
	close(t.over)
	t.running.Wait()
}

// A watched process has been read every readEvery, for as long as readSlack.
type watched struct {
	memory  *gcMemory
	samples []gcSample
}

type gcSample struct {
	at time.Time
	page.Counters
}

// watch starts to read the counters of a process. binary is what it runs, in the
// process group pgid.
func (t *totals) watch(name string, pgid int, binary string) {
	t.mu.Lock()
	t.processes[name] = &watched{}
	t.mu.Unlock()
	t.running.Add(1)
	go func() {
		defer t.running.Done()
		tick := time.NewTicker(readEvery)
		defer tick.Stop()
		for {
			memory, err := t.open(pgid, binary)
			switch {
			case err == nil:
				t.mu.Lock()
				t.processes[name].memory = memory
				t.mu.Unlock()
				for t.sample(name) {
					select {
					case <-tick.C:
						continue
					case <-t.over:
					}
					break
				}
				t.forget(name)
			case !errors.Is(err, errNotRunning):
				t.log("the page cannot tell the true totals of %s: %v", name, err)
				return
			}
			select {
			case <-tick.C:
			case <-t.over:
				return
			}
		}
	}()
}

// sample reads once and says whether it could.
func (t *totals) sample(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.processes[name]
	c, err := w.memory.read()
	if err != nil {
		return false
	}
	now := time.Now()
	w.samples = append(w.samples, gcSample{now, c})
	for len(w.samples) > 1 && now.Sub(w.samples[1].at) > readSlack {
		w.samples = w.samples[1:]
	}
	return true
}

// forget ends the reading of a process that has ended.
func (t *totals) forget(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.processes[name]
	w.memory.close()
	w.memory, w.samples = nil, nil
}

// of is for page.Options.Totals.
func (t *totals) of(name string) (page.Totals, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.processes[name]
	if w == nil || w.memory == nil {
		return page.Totals{}, false
	}
	now, err := w.memory.read()
	if err != nil {
		return page.Totals{}, false
	}
	before := page.Counters{} // a process that is younger has had none
	if len(w.samples) > 0 && time.Since(w.samples[0].at) >= readSlack {
		before = w.samples[0].Counters
	}
	return page.Totals{Before: before, Now: now}, true
}

var errNotRunning = errors.New("the binary does not run")

// open finds the process of the group that runs binary.
func (t *totals) open(pgid int, binary string) (*gcMemory, error) {
	pid := pgid
	if !runsBinary(pid, binary) {
		pid = 0
		links, _ := filepath.Glob("/proc/[0-9]*/exe")
		for _, link := range links {
			if n, err := strconv.Atoi(strings.Split(link, "/")[2]); err == nil && runsBinary(n, binary) && groupOf(n) == pgid {
				pid = n
				break
			}
		}
	}
	if pid == 0 {
		return nil, errNotRunning
	}
	m, err := openGCMemory(pid)
	if err != nil && !runsBinary(pid, binary) {
		return nil, errNotRunning // any more
	}
	return m, err
}

func runsBinary(pid int, binary string) bool {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return err == nil && exe == binary
}

// groupOf returns the process group of a process, 0 if it is gone.
func groupOf(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	// PID (COMMAND) STATE PPID PGID ...
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 3 {
		return 0
	}
	pgid, _ := strconv.Atoi(fields[2])
	return pgid
}

// A gcMemory is where a process has its runtime.memstats.
type gcMemory struct {
	mem            *os.File
	order          binary.ByteOrder
	numGC, pauseNS int64
}

// openGCMemory looks up in a process's own symbol table and debugging information
// where the runtime counts. The names are the same since long before Go 1.18.
func openGCMemory(pid int) (*gcMemory, error) {
	exe := fmt.Sprintf("/proc/%d/exe", pid)
	f, err := elf.Open(exe)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m := &gcMemory{order: f.ByteOrder}
	if m.numGC, m.pauseNS, err = memstatsFields(f); err != nil {
		return nil, err
	}
	symbols, err := f.Symbols()
	if err != nil {
		return nil, fmt.Errorf("the binary has no symbol table: %w", err)
	}
	at := int64(0)
	for _, s := range symbols {
		if s.Name == "runtime.memstats" {
			at = int64(s.Value)
		}
	}
	if at == 0 {
		return nil, errors.New("the binary has no runtime.memstats")
	}
	if f.Type == elf.ET_DYN {
		base, err := loadedAt(pid)
		if err != nil {
			return nil, err
		}
		for _, p := range f.Progs {
			if p.Type == elf.PT_LOAD && p.Off == 0 {
				base -= int64(p.Vaddr)
			}
		}
		at += base
	}
	m.numGC += at
	m.pauseNS += at
	if m.mem, err = os.Open(fmt.Sprintf("/proc/%d/mem", pid)); err != nil {
		return nil, err
	}
	if _, err := m.read(); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// memstatsFields returns the offsets of the two counters in runtime.memstats.
func memstatsFields(f *elf.File) (numGC, pauseNS int64, err error) {
	d, err := f.DWARF()
	if err != nil {
		return 0, 0, fmt.Errorf("the binary has no debugging information: %w", err)
	}
	r := d.Reader()
	for {
		e, err := r.Next()
		if err != nil || e == nil {
			return 0, 0, errors.New("the binary's debugging information does not tell of runtime.mstats")
		}
		name, _ := e.Val(dwarf.AttrName).(string)
		switch {
		case e.Tag == dwarf.TagCompileUnit && name != "runtime":
			r.SkipChildren()
		case e.Tag == dwarf.TagStructType && name == "runtime.mstats":
			t, err := d.Type(e.Offset)
			if err != nil {
				return 0, 0, err
			}
			numGC, pauseNS = -1, -1
			for _, field := range t.(*dwarf.StructType).Field {
				switch {
				case field.Name == "numgc" && field.Type.Size() == 4:
					numGC = field.ByteOffset
				case field.Name == "pause_total_ns" && field.Type.Size() == 8:
					pauseNS = field.ByteOffset
				}
			}
			if numGC < 0 || pauseNS < 0 {
				return 0, 0, errors.New("this Go release counts in another place")
			}
			return numGC, pauseNS, nil
		}
	}
}

// loadedAt returns where a position-independent binary was loaded.
func loadedAt(pid int) (int64, error) {
	exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return 0, err
	}
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		return 0, err
	}
	defer maps.Close()
	// ADDRESS-ADDRESS PERMISSIONS OFFSET DEVICE INODE PATH
	for s := bufio.NewScanner(maps); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) == 6 && fields[5] == exe && strings.Trim(fields[2], "0") == "" {
			from, _, _ := strings.Cut(fields[0], "-")
			return strconv.ParseInt(from, 16, 64)
		}
	}
	return 0, errors.New("the binary is not in the process's memory")
}

func (m *gcMemory) read() (page.Counters, error) {
	var numGC [4]byte
	var pauseNS [8]byte
	if _, err := m.mem.ReadAt(numGC[:], m.numGC); err != nil {
		return page.Counters{}, err
	}
	if _, err := m.mem.ReadAt(pauseNS[:], m.pauseNS); err != nil {
		return page.Counters{}, err
	}
	return page.Counters{
		Collections: float64(m.order.Uint32(numGC[:])),
		PauseNS:     float64(m.order.Uint64(pauseNS[:])),
	}, nil
}

func (m *gcMemory) close() { m.mem.Close() }
