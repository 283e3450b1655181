package regexp

import (
	"reflect"
	"regexp"
	"testing"
)

func TestSameAsTheStandardPackage(t *testing.T) {
	const expr, text = "([A-Z]+)([a-z]+)", "HTTPProxy ServerName"
	lazy, std := MustCompile(expr), regexp.MustCompile(expr)
	if got, want := lazy.MatchString(text), std.MatchString(text); got != want {
		t.Errorf("MatchString: %v, want %v", got, want)
	}
	if got, want := lazy.FindStringSubmatch(text), std.FindStringSubmatch(text); !reflect.DeepEqual(got, want) {
		t.Errorf("FindStringSubmatch: %q, want %q", got, want)
	}
	if got, want := lazy.FindAllStringSubmatch(text, -1), std.FindAllStringSubmatch(text, -1); !reflect.DeepEqual(got, want) {
		t.Errorf("FindAllStringSubmatch: %q, want %q", got, want)
	}
}

func TestMustCompileDoesNotCompile(t *testing.T) {
	r := MustCompile("(")
	defer func() {
		if recover() == nil {
			t.Error("( was compiled neither at once nor on use")
		}
	}()
	r.MatchString("(")
}
