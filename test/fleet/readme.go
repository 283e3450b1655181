package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// A readme is what the README's section on a fleet has for its reader to copy.
type readme struct {
	config    string   // of the Collector
	metrics   []string // that are sent
	questions []string // in PromQL
}

func readReadme(root string) (r readme, err error) {
	b, err := os.ReadFile(filepath.Join(root, "README.md"))
	_, section, _ := strings.Cut(string(b), "\n## A fleet, and Fir\n")
	section, _, _ = strings.Cut(section, "\n## ")
	_, r.config, _ = strings.Cut(section, "```yaml\n")
	r.config, _, _ = strings.Cut(r.config, "```")
	for _, row := range regexp.MustCompile("(?m)^\\| `(go\\.[^|]+) \\|").FindAllStringSubmatch(section, -1) {
		names, _, _ := strings.Cut(row[1], ", by ")
		r.metrics = append(r.metrics, regexp.MustCompile(`go\.[a-z.]+`).FindAllString(names, -1)...)
	}
	for _, row := range regexp.MustCompile("(?m)^\\| [^`|]+ \\| `(.+)` \\|$").FindAllStringSubmatch(section, -1) {
		r.questions = append(r.questions, row[1])
	}
	if err == nil && (r.config == "" || len(r.metrics) == 0 || len(r.questions) == 0) {
		err = errors.New("the README's section on a fleet has lost its configuration, its metrics or its questions")
	}
	return r, err
}

// writeReadme puts figures in the README.
func writeReadme(root, figures string) error {
	file := filepath.Join(root, "README.md")
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	const begin, end = "<!-- by go run . -dynos 10000 -write -->\n", "<!-- end -->"
	before, rest, _ := bytes.Cut(b, []byte(begin))
	_, after, found := bytes.Cut(rest, []byte(end))
	if !found {
		return fmt.Errorf("%s has no %s", file, begin)
	}
	return os.WriteFile(file, []byte(string(before)+begin+figures+end+string(after)), 0o666)
}
