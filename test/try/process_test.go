//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// describe returns processes as NAME(BINARY): COMMAND.
func describe(list []process) string {
	var all []string
	for _, p := range list {
		all = append(all, p.name+"("+p.binary+"): "+p.command)
	}
	return strings.Join(all, "; ")
}

func TestFindProcesses(t *testing.T) {
	const both = "web(web): bin/web; tool(tool): bin/tool"
	for name, tt := range map[string]struct{ procfile, list, extra, warnings string }{
		"no Procfile": {list: both},
		"types with commands": {
			procfile: "# what runs\nweb: GOGC=50 ./bin/web -port $PORT\nworker:tool  --work\n",
			list:     "web(web): GOGC=50 ./bin/web -port $PORT; worker(tool): tool  --work",
		},
		"a binary that is in the Procfile for the release phase only": {
			procfile: "release: bin/tool migrate\nweb: bin/web\n", list: "web(web): bin/web", extra: "tool(tool): bin/tool",
			warnings: "Procfile: release is not run here; on Heroku it runs before each new release starts: bin/tool migrate",
		},
		"a Procfile of other programs": {
			procfile: "web: node web\nassets: other/web\n", list: both,
			warnings: "Procfile: web runs node, which is no Go program of the app: it is not started here, and reports nothing\n" +
				"Procfile: assets runs other/web, which is no Go program of the app: it is not started here, and reports nothing",
		},
		"a Procfile with mistakes": {
			procfile: "web bin/web\nworker: A=b exec ./bin/wroker\n\n", list: both,
			warnings: "Procfile: line 1 is not NAME: COMMAND, so Heroku ignores it: web bin/web\n" +
				"Procfile: worker runs bin/wroker, which the build has not made; it has made bin/web, bin/tool",
		},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "Procfile"), []byte(tt.procfile), 0o666); err != nil {
			t.Fatal(err)
		}
		if tt.procfile == "" {
			os.Remove(filepath.Join(dir, "Procfile"))
		}
		list, extra, warnings, err := findProcesses(dir, []string{"web", "tool"})
		if describe(list) != tt.list || describe(extra) != tt.extra || strings.Join(warnings, "\n") != tt.warnings || err != nil {
			t.Errorf("%s: got %+v, %+v, %q, %v", name, list, extra, warnings, err)
		}
	}
	if _, _, _, err := findProcesses(t.TempDir(), nil); err == nil {
		t.Error("no error for a build without binaries")
	}
}

func TestChooseProcesses(t *testing.T) {
	list := []process{{name: "web", command: "bin/app serve", binary: "app"}, {name: "worker", command: "bin/app work", binary: "app"}}
	extra := []process{{name: "tool", command: "bin/tool", binary: "tool"}}
	for name, want := range map[string][]process{"": list, "worker": list[1:], "app": list[:1], "tool": extra} {
		if got, err := chooseProcesses(list, extra, name); err != nil || describe(got) != describe(want) {
			t.Errorf("chooseProcesses(%q) = %+v, %v, want %+v", name, got, err, want)
		}
	}
	_, err := chooseProcesses(list, extra, "nobody")
	if err == nil || !strings.Contains(err.Error(), `no process "nobody"; it has app, tool, web, worker`) {
		t.Errorf("got the error %v, want one that names all processes", err)
	}
}
