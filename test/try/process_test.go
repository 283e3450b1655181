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
		},
		"a binary that is in the Procfile for the release phase only": {
			procfile: "release: bin/tool migrate\nweb: bin/web\n",
			list:     []process{web},
			extra:    []process{tool},
		},
		"a Procfile of other programs": {
			procfile: "web: node web\nassets: other/web\n",
			list:     []process{web, tool},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if tt.procfile != "" {
				if err := os.WriteFile(filepath.Join(dir, "Procfile"), []byte(tt.procfile), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			list, extra, err := findProcesses(dir, []string{"web", "tool"})
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(list, tt.list) || !reflect.DeepEqual(extra, tt.extra) {
				t.Errorf("got %+v and %+v, want %+v and %+v", list, extra, tt.list, tt.extra)
			}
		})
	}
	if _, _, err := findProcesses(t.TempDir(), nil); err == nil {
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
