// Package regexp stands in for the standard package of that name in the copies
// of the agent's third-party modules that are linked into apps. What they do
// with it there is to look for fixed texts in errors. For that, a program with
// no use of its own for the standard package would grow by 350 KB and take half
// a second of CPU time longer to build, and any would start 80 µs later.
//
// It has what those modules call. If one of them comes to need more, the agent
// does not compile or TestExpressionsOfTheModules fails.
package regexp

import "strings"

// A Regexp is a regular expression of literal characters, \d+ and \z.
type Regexp struct{ expr string }

// MustCompile returns the regular expression. It does not look at it.
func MustCompile(expr string) *Regexp { return &Regexp{expr} }

// MatchString is as in the standard package.
func (r *Regexp) MatchString(s string) bool {
	for ; s != ""; s = s[1:] {
		if begins(s, r.expr) {
			return true
		}
	}
	return begins(s, r.expr)
}

// begins reports whether a match of expr is at the beginning of s.
func begins(s, expr string) bool {
	const digits, end = `\d+`, `\z`
	switch {
	case expr == "":
		return true
	case expr == end:
		return s == ""
	case strings.HasPrefix(expr, digits):
		for s != "" && '0' <= s[0] && s[0] <= '9' {
			s = s[1:]
			if begins(s, expr[len(digits):]) {
				return true
			}
		}
		return false
	}
	return s != "" && s[0] == expr[0] && begins(s[1:], expr[1:])
}

// FindStringSubmatch finds nothing. It is for envconfig's split_words, which the
// agent does not use.
func (r *Regexp) FindStringSubmatch(string) []string { return nil }

// FindAllStringSubmatch finds nothing, likewise.
func (r *Regexp) FindAllStringSubmatch(string, int) [][]string { return nil }
