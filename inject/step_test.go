package main

import (
	"reflect"
	"strings"
	"testing"
)

func TestArguments(t *testing.T) {
	args := strings.Fields("-o out -trimpath=/a;/b -p main -importcfg cfg -pack a.go")
	for name, want := range map[string]string{"-o": "out", "-trimpath": "/a;/b", "-importcfg": "cfg", "-buildid": ""} {
		if got := value(args, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for name, want := range map[string]string{
		"-o":        "-o new -trimpath=/a;/b -p main -importcfg cfg -pack a.go",
		"-trimpath": "-o out -trimpath=new -p main -importcfg cfg -pack a.go",
		"-buildid":  "-buildid=new -o out -trimpath=/a;/b -p main -importcfg cfg -pack a.go",
	} {
		if got := strings.Join(replace(args, name, "new"), " "); got != want {
			t.Errorf("%s replaced: %s, want %s", name, got, want)
		}
	}
}

// Whatever the arguments of a step, a flag that was replaced has its new value,
// and nothing else has changed.
func FuzzArguments(f *testing.F) {
	f.Add("-o\x00out\x00-importcfg\x00cfg\x00a.go", "-importcfg")
	f.Add("-importcfg", "-importcfg")
	f.Add("-importcfg=a=b\x00-importcfg\x00c", "-importcfg")
	f.Fuzz(func(t *testing.T, joined, name string) {
		if !strings.HasPrefix(name, "-") || strings.ContainsAny(name, "=\x00") {
			t.Skip()
		}
		args := strings.Split(joined, "\x00")
		was := append([]string{}, args...)
		got := replace(args, name, "new")
		if value(got, name) != "new" {
			t.Errorf("%q: %s is not replaced in %q", args, name, got)
		}
		if value(args, name) == "" {
			return
		}
		if back := replace(got, name, value(args, name)); !reflect.DeepEqual(back, was) || !reflect.DeepEqual(args, was) {
			t.Errorf("%q becomes %q and then %q", was, got, back)
		}
	})
}
