//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFindProcesses(t *testing.T) {
	const none = ", which is none of the app's Go programs, bin/web, bin/tool: it is not started here, and reports nothing\n"
	for procfile, want := range map[string]string{
		"# what runs\nweb: GOGC=50 ./bin/web -port $PORT\nworker:tool  --work\n": "web(web): GOGC=50 ./bin/web -port $PORT\nworker(tool): tool  --work\n",
		"release: bin/tool migrate\na: 'bin/web'\n": "Procfile: release is not run here; on Heroku it runs before each new release starts: bin/tool migrate\n" +
			"a(web): 'bin/web'\n",
		"web: node web\nassets: 'other/web'\nx: ''\n": "Procfile: web runs node" + none + "Procfile: assets runs other/web" + none + "Procfile: x runs " + none +
			"web(web): bin/web\ntool(tool): bin/tool\n",
		"web bin/web\nworker: A=b exec ./bin/wroker\n\n": "Procfile: line 1 is not NAME: COMMAND, so Heroku ignores it: web bin/web\n" +
			"Procfile: worker runs ./bin/wroker" + none + "web(web): bin/web\ntool(tool): bin/tool\n",
	} {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "Procfile"), []byte(procfile), 0o666))
		var out bytes.Buffer
		list, err := (&session{stderr: &out, built: dir}).findProcesses([]string{"web", "tool"})
		must(t, err)
		for _, p := range list {
			fmt.Fprintf(&out, "%s(%s): %s\n", p.name, p.binary, p.command)
		}
		if got := strings.ReplaceAll(out.String(), "try: warning: ", ""); got != want {
			t.Errorf("%q: got\n%s\nwant\n%s", procfile, got, want)
		}
	}
}
