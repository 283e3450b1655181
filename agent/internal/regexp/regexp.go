// Package regexp stands in for the standard package of that name in the copies
// of the agent's third-party modules that are linked into apps, where nothing
// ever asks for a match: go-retryablehttp does in its retry policies, which the
// agent replaces, and envconfig for split_words, which the agent does not use.
//
// With the standard package, a program that has no use of its own for it would
// grow by 250 KB, and any would start 80 µs later. TestNothingAsksForAMatch fails
// when one of the modules comes to need it.
package regexp

// A Regexp matches nothing.
type Regexp struct{}

// MustCompile returns a Regexp.
func MustCompile(string) *Regexp { return nil }

// MatchString returns false.
func (*Regexp) MatchString(string) bool { return false }

// FindStringSubmatch returns nil.
func (*Regexp) FindStringSubmatch(string) []string { return nil }

// FindAllStringSubmatch returns nil.
func (*Regexp) FindAllStringSubmatch(string, int) [][]string { return nil }
