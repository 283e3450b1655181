package gocmd

import "testing"

func TestProblem(t *testing.T) {
	for messages, want := range map[string]string{
		"go: downloading example.com/a v1.0.0\n# example.com/app\n./main.go:4:2: undefined: nothing\n./main.go:5:2: more\n": "./main.go:4:2: undefined: nothing",
		"go: updates to go.mod needed; to update it:\n\tgo mod tidy\nexit status 1\n":                                       "go: updates to go.mod needed; to update it: go mod tidy",
		"go: finding module for package x\n\n":                                                                              "",
	} {
		if got := Problem(messages); got != want {
			t.Errorf("of %q the problem is %q, want %q", messages, got, want)
		}
	}
}
