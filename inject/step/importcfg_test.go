package main

import (
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/program"
)

const linkConfig = `# import config
packagefile example.com/app=/cache/aa-d
packagefile fmt=/work dir/b002/_pkg_.a
importmap old=new
`

func TestImportConfigKeepsUnknownLines(t *testing.T) {
	c := parseImportConfig(linkConfig)
	if got := c.archives["fmt"]; got != "/work dir/b002/_pkg_.a" {
		t.Errorf("archive of fmt: %q", got)
	}
	if got := c.String(); got != linkConfig {
		t.Errorf("unchanged config:\n%s\nwant:\n%s", got, linkConfig)
	}
	c.set("net/http", "/cache/bb-d")
	if got, want := c.String(), linkConfig+"packagefile net/http=/cache/bb-d\n"; got != want {
		t.Errorf("config:\n%s\nwant:\n%s", got, want)
	}
}

// The go command's own line, with marks of 16 bytes around the text.
func modInfoLine(text string) string {
	return "modinfo " + strconv.Quote("0w\xaf\f\x92t\b\x02A\xe1\xc1\a\xe6\xd6\x18\xe6"+text+"\xf92C1\x86\x18 r\x00\x82B\x10A\x16\xd8\xf2") + "\n"
}

func TestDescribe(t *testing.T) {
	const info = "path\texample.com/app\nmod\texample.com/app\t(devel)\t\ndep\texample.com/lib\tv1.0.0\th1:abc=\n"
	for _, settings := range []string{"", "build\t-race=true\nbuild\t-pgo=/x/default.pgo\n"} {
		c := parseImportConfig(linkConfig + modInfoLine(info+settings))
		c.describe([]string{"example.com/agent\tv1.2.3\th1:def="}, []string{"agent.key=value"})
		want := linkConfig + modInfoLine(info+"dep\texample.com/agent\tv1.2.3\th1:def=\n"+settings+"build\tagent.key=value\n")
		if got := c.String(); got != want {
			t.Errorf("config:\n%s\nwant:\n%s", got, want)
		}
		text, err := strconv.Unquote(strings.TrimPrefix(c.lines[len(c.lines)-1], "modinfo "))
		if err != nil {
			t.Fatal(err)
		}
		bi, err := debug.ParseBuildInfo(text[modInfoMark : len(text)-modInfoMark])
		if err != nil || len(bi.Deps) != 2 || bi.Settings[len(bi.Settings)-1].Key != "agent.key" {
			t.Errorf("build information does not parse: %v, %v", bi, err)
		}
	}
}

// A program has one line for a version of a module, even if app and agent both require it.
func TestDescribeNamesAModuleOnce(t *testing.T) {
	const agent = "example.com/lib\tv1.0.0\th1:abc="
	for dep, want := range map[string]int{
		"dep\t" + agent + "\n":                                 1,
		"dep\texample.com/lib\tv1.0.0\t\n":                     1, // vendored
		"dep\texample.com/lib\tv1.0.0\n=>\t./lib\t(devel)\t\n": 1,
		"dep\texample.com/lib\tv1.0.0-rc.1\th1:x=\n":           2,
		"dep\texample.com/lib/v2\tv1.0.0\th1:x=\n":             2,
	} {
		c := parseImportConfig(modInfoLine("path\tx\nmod\tx\t(devel)\t\n" + dep))
		c.describe([]string{agent}, nil)
		if got := strings.Count(c.String(), `dep\texample.com/lib`); got != want {
			t.Errorf("with %q there are %d lines, want %d: %s", dep, got, want, &c)
		}
	}
}

func TestBuildInfo(t *testing.T) {
	c := parseImportConfig(linkConfig + modInfoLine("path\tx\nbuild\t-race=true\nbuild\t-pgo=/x/default.pgo\n"))
	info := c.buildInfo()
	for key, want := range map[string]string{"-race": "true", "-pgo": "/x/default.pgo", "-msan": "", "-rac": ""} {
		if got := program.Setting(info, key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	t.Setenv("TOOLEXEC_IMPORTPATH", "example.com/app [variant]")
	c = parseImportConfig(linkConfig)
	if got := c.buildInfo().Path; got != "example.com/app" {
		t.Errorf("without build information: the program is %q", got)
	}
}

func TestSetArchive(t *testing.T) {
	c := parseImportConfig(linkConfig)
	c.set("fmt", "/other.a")
	want := strings.Replace(linkConfig, "/work dir/b002/_pkg_.a", "/other.a", 1)
	if got := c.String(); got != want || c.archives["fmt"] != "/other.a" {
		t.Errorf("config:\n%s\nwant:\n%s", got, want)
	}
}

func FuzzImportConfig(f *testing.F) {
	f.Add(linkConfig + modInfoLine("path\tx\nbuild\t-race=true\n"))
	f.Add(`modinfo "0000000000000000000000\nbuild\t000"`) // in the marks there may be anything
	f.Add("packagefile a\nmodinfo \"\"\nmodinfo x\n\n")
	f.Fuzz(func(t *testing.T, data string) {
		c := parseImportConfig(data)
		if got := strings.TrimSuffix(c.String(), "\n"); got != strings.TrimSuffix(data, "\n") {
			t.Errorf("%q becomes %q", data, got)
		}
		c.buildInfo()
		c.describe([]string{"example.com/agent\tv1.2.3"}, []string{"a=b"})
	})
}
