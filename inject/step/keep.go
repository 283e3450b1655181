package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Kept files that no build used for this long are removed.
const unusedAge = 24 * time.Hour

// readKept returns the content of a file that keep wrote in an earlier step, and whether it
// is whole: a killed build or the cache may have left it truncated or damaged.
func readKept(name string) ([]byte, bool) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, false
	}
	sum, err := os.ReadFile(name + ".sum")
	if err != nil || string(sum) != hash(string(data)) {
		return nil, false
	}
	now := time.Now()
	os.Chtimes(name, now, now)
	os.Chtimes(name+".sum", now, now)
	return data, true
}

// keep writes a file for later steps into a directory of the stage, and removes what builds
// no longer use from there. The caller holds the lock.
func keep(name string, data []byte) error {
	dir := filepath.Dir(name)
	os.Mkdir(dir, 0o777)
	old, _ := os.ReadDir(dir)
	for _, file := range old {
		if info, err := file.Info(); err == nil && time.Since(info.ModTime()) > unusedAge {
			os.RemoveAll(filepath.Join(dir, file.Name()))
		}
	}
	for name, data := range map[string]string{name: string(data), name + ".sum": hash(string(data))} {
		os.RemoveAll(name)
		if err := os.WriteFile(name, []byte(data), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// hash returns a name for everything that parts depends on.
func hash(parts ...string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(parts, "\x00"))))[:24]
}
