package endpoint

import (
	"os"
	"strings"
	"testing"
)

// The report in the README is complete.
func TestReadme(t *testing.T) {
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	const start = `{"counters":`
	_, document, _ := strings.Cut(string(b), "```json\n"+start)
	document, _, _ = strings.Cut(document, "```")
	if _, err := Parse([]byte(start + document)); err != nil {
		t.Errorf("the report in the README: %v", err)
	}
}
