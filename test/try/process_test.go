//go:build linux

package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestFindProcesses(t *testing.T) {
	web := process{name: "web", command: "bin/web", binary: "web"}
	tool := process{name: "tool", command: "bin/tool", binary: "tool"}
	for name, tt := range map[string]struct {
		procfile    string
		list, extra []process
		warnings    []string
	}{
		"no Procfile": {
			list: []process{web, tool},
		},
		"types with commands": {
			procfile: "# what runs\nweb: GOGC=50 ./bin/web -port $PORT\nworker:tool  --work\nrelease: bin/tool migrate\n",
			list: []process{
				{name: "web", command: "GOGC=50 ./bin/web -port $PORT", binary: "web"},
				{name: "worker", command: "tool  --work", binary: "tool"},
			},
			warnings: []string{"Procfile: release is not run here; on Heroku it runs before each new release starts: bin/tool migrate"},
		},
		"a binary that is in the Procfile for the release phase only": {
			procfile: "release: bin/tool migrate\nweb: bin/web\n",
			list:     []process{web},
			extra:    []process{tool},
			warnings: []string{"Procfile: release is not run here; on Heroku it runs before each new release starts: bin/tool migrate"},
		},
		"a Procfile of other programs": {
			procfile: "web: node web\nassets: other/web\n",
			list:     []process{web, tool},
			warnings: []string{
				"Procfile: web runs node, which is no Go program of the app: it is not started here, and reports nothing",
				"Procfile: assets runs other/web, which is no Go program of the app: it is not started here, and reports nothing",
			},
		},
		"a Procfile with mistakes": {
			procfile: "web bin/web\nworker: A=b exec ./bin/wroker\n\n",
			list:     []process{web, tool},
			warnings: []string{
				"Procfile: line 1 is not NAME: COMMAND, so Heroku ignores it: web bin/web",
				"Procfile: worker runs bin/wroker, which the build has not made; it has made bin/web, bin/tool",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.procfile != "" {
				if err := os.WriteFile(filepath.Join(dir, "Procfile"), []byte(tt.procfile), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			list, extra, warnings, err := findProcesses(dir, []string{"web", "tool"})
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(list, tt.list) || !reflect.DeepEqual(extra, tt.extra) || !reflect.DeepEqual(warnings, tt.warnings) {
				t.Errorf("got %+v, %+v and %q, want %+v, %+v and %q", list, extra, warnings, tt.list, tt.extra, tt.warnings)
			}
		})
	}
	if _, _, _, err := findProcesses(t.TempDir(), nil); err == nil {
		t.Error("no error for a build without binaries")
	}
}

func TestChooseProcesses(t *testing.T) {
	list := []process{{name: "web", command: "bin/app serve", binary: "app"}, {name: "worker", command: "bin/app work", binary: "app"}}
	extra := []process{{name: "tool", command: "bin/tool", binary: "tool"}}
	for name, want := range map[string][]process{
		"":       list,
		"worker": list[1:],
		"app":    list[:1],
		"tool":   extra,
	} {
		if got, err := chooseProcesses(list, extra, name); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("chooseProcesses(%q) = %+v, %v, want %+v", name, got, err, want)
		}
	}
	_, err := chooseProcesses(list, extra, "nobody")
	if err == nil || !strings.Contains(err.Error(), `no process "nobody"; it has web, worker, tool, app`) {
		t.Errorf("got the error %v, want one that names all processes", err)
	}
}
