package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Whoever changes what is added to main packages must change its name in the build
// cache, or archives of the old kind are taken for new ones.
func TestHookID(t *testing.T) {
	step, err := os.ReadFile("../bin/lib/step.sh")
	if err != nil {
		t.Fatal(err)
	}
	toolexec, err := os.ReadFile("../bin/toolexec")
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.New()
	for _, part := range []string{`(?s)hook_source='.*?'\n`, `(?s)hook\(\) \{\n.*?\n\}\n`, `.*import _ "hmetrics.injected/hook".*`} {
		text := regexp.MustCompile(part).Find(step)
		if text == nil {
			t.Fatalf("bin/lib/step.sh holds nothing like %s", part)
		}
		hash.Write(text)
	}
	if want := fmt.Sprintf("\nhook_id=hook-%x\n", hash.Sum(nil)[:4]); !strings.Contains(string(toolexec), want) {
		t.Errorf("bin/toolexec lacks the line %s", strings.TrimSpace(want))
	}
}

// Both hooks must declare the same, or a main package that was compiled with one
// cannot be linked with the other.
func TestHooksDeclareTheSame(t *testing.T) {
	step, err := os.ReadFile("../bin/lib/step.sh")
	if err != nil {
		t.Fatal(err)
	}
	source := strings.Replace(agentHook, "import _ \""+shadedOnload+"\"\n\n", "", 1)
	if !strings.Contains(string(step), "hook_source='"+strings.TrimSpace(source)+"'\n") {
		t.Errorf("bin/lib/step.sh has another hook_source than\n%s", source)
	}
}

func TestObjectFile(t *testing.T) {
	archive, _ := compileFmt(t)
	data, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	o, err := objectFile(data)
	if err != nil || o.shared() {
		t.Fatalf("%v, shared %v", err, o.shared())
	}
	archive, _ = compileFmt(t, "-buildmode=pie")
	if data, err = os.ReadFile(archive); err != nil {
		t.Fatal(err)
	}
	if o, err = objectFile(data); err != nil || !o.shared() {
		t.Fatalf("of a program for any address: %v, shared %v", err, o.shared())
	}
}

// A Go to come may have other object files: the program is then linked without the
// agent, whatever they are like.
func FuzzObjectFile(f *testing.F) {
	f.Add([]byte("!<arch>\n_go_.o          0           0     0     644     60        `\ngo object linux amd64\n!\n\x00go120ld0123456701234567890"))
	f.Fuzz(func(t *testing.T, archive []byte) {
		if o, err := objectFile(archive); err == nil {
			o.shared()
			copy(o.fingerprint(), "01234567")
		}
	})
}

func TestCompileAgentHookReadsNoOtherForm(t *testing.T) {
	hook := filepath.Join(t.TempDir(), "hmetrics.hook.a")
	if err := os.WriteFile(hook, []byte("!<arch>\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := compileAgentHook("compile", hook, "onload.a"); err == nil || !strings.Contains(err.Error(), "this Go release may be newer than this buildpack") {
		t.Errorf("error %v", err)
	}
}
