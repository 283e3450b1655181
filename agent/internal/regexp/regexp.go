// Package regexp stands in for the standard package of that name in the copies
// of the agent's third-party modules that are linked into apps. They compile
// their expressions in package variables, 80 µs at the start of every process of
// the app, for what they do only once the agent is on, or on errors. Here an
// expression is compiled when it is first used.
//
// It has what those modules call. If one of them comes to need more, the agent
// does not compile, which the tests show.
package regexp

import (
	"regexp"
	"sync"
)

// A Regexp is a regular expression that is compiled on first use.
type Regexp struct {
	expr     string
	once     sync.Once
	compiled *regexp.Regexp
}

// MustCompile returns the regular expression. Unlike the standard one it panics
// on first use if expr cannot be parsed.
func MustCompile(expr string) *Regexp { return &Regexp{expr: expr} }

func (r *Regexp) compile() *regexp.Regexp {
	r.once.Do(func() { r.compiled = regexp.MustCompile(r.expr) })
	return r.compiled
}

// MatchString is as in the standard package.
func (r *Regexp) MatchString(s string) bool { return r.compile().MatchString(s) }

// FindStringSubmatch is as in the standard package.
func (r *Regexp) FindStringSubmatch(s string) []string { return r.compile().FindStringSubmatch(s) }

// FindAllStringSubmatch is as in the standard package.
func (r *Regexp) FindAllStringSubmatch(s string, n int) [][]string {
	return r.compile().FindAllStringSubmatch(s, n)
}
