//go:build linux && go1.20 && !race

package memlimit

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// In a real control group of 128 MiB, a program that keeps 75 MiB outgrows it, and with
// the setting it does not. The memory of the race detector counts too, and is not Go's.
func TestARealControlGroup(t *testing.T) {
	group, err := os.MkdirTemp("/sys/fs/cgroup/memory", "hmetrics-")
	if err != nil {
		t.Skipf("cannot create a control group: %v", err)
	}
	defer os.Remove(group)
	if err := os.WriteFile(filepath.Join(group, "memory.limit_in_bytes"), []byte("134217728"), 0); err != nil {
		t.Skipf("a control group takes no limit: %v", err)
	}
	run := func(group, setting string) (c churned, err error) {
		cmd := exec.Command("sh", "-c", `if [ "$1" ]; then echo $$ >"$1/cgroup.procs" || exit; fi; exec "$0"`, os.Args[0], group)
		cmd.Env = append(os.Environ(), "CHURN=75", "HMETRICS_MEMORY_LIMIT="+setting)
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err == nil {
			err = json.Unmarshal(out, &c)
		}
		return c, err
	}
	free, err := run("", "")
	if err != nil || free.PeakMiB < 128 {
		t.Errorf("outside of the group: %+v, %v", free, err)
	}
	without, killed := run(group, "")
	if killed == nil && without.PeakMiB < 128 {
		t.Errorf("without the setting: %+v", without)
	}
	with, err := run(group, "90%")
	if err != nil || with.Limit != 134217728*9/10 || with.PeakMiB > 128*0.95 || with.PeakMiB < 75 {
		t.Errorf("with the setting: %+v, %v", with, err)
	}
	t.Logf("outside of the group: %+v; in it: %+v, %v; with 90%%: %+v", free, without, killed, with)
}
