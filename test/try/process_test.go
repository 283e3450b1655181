//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFindProcesses(t *testing.T) {
	const both, release = "web(web): bin/web; tool(tool): bin/tool", "release: bin/tool migrate\nweb: bin/web\n"
	const warning = "Procfile: release is not run here; on Heroku it runs before each new release starts: bin/tool migrate"
	for name, tt := range map[string]struct{ procfile, only, list, warnings string }{
		"no Procfile": {list: both},
		"types with commands": {
			procfile: "# what runs\nweb: GOGC=50 ./bin/web -port $PORT\nworker:tool  --work\n",
			list:     "web(web): GOGC=50 ./bin/web -port $PORT; worker(tool): tool  --work",
		},
		"one process type":               {procfile: "web: bin/web\nworker: bin/web work\n", only: "worker", list: "worker(web): bin/web work"},
		"one binary":                     {procfile: "a: bin/web\nworker: bin/web work\n", only: "web", list: "a(web): bin/web"},
		"a binary for the release phase": {procfile: release, list: "web(web): bin/web", warnings: warning},
		"that binary":                    {procfile: release, only: "tool", list: "tool(tool): bin/tool", warnings: warning},
		"another binary":                 {procfile: "a: bin/web\n", only: "nobody", list: `the app has no process "nobody"; it has a, tool, web`},
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
		if tt.procfile != "" {
			if err := os.WriteFile(filepath.Join(dir, "Procfile"), []byte(tt.procfile), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		list, warnings, err := findProcesses(dir, []string{"web", "tool"}, tt.only)
		var got []string
		for _, p := range list {
			got = append(got, p.name+"("+p.binary+"): "+p.command)
		}
		if err != nil {
			got = append(got, err.Error())
		}
		if strings.Join(got, "; ") != tt.list || strings.Join(warnings, "\n") != tt.warnings {
			t.Errorf("%s: got %q and the warnings %q", name, got, warnings)
		}
	}
	if _, _, err := findProcesses(t.TempDir(), nil, ""); err == nil {
		t.Error("no error for a build without binaries")
	}
}
