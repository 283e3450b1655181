package main

import "strings"

// value returns the value of a flag in the form "-name value" or "-name=value".
func value(args []string, name string) string {
	for i, arg := range args {
		if arg == name && i+1 < len(args) {
			return args[i+1]
		}
		if strings.HasPrefix(arg, name+"=") {
			return arg[len(name)+1:]
		}
	}
	return ""
}

// replace returns args with another value for an existing flag.
func replace(args []string, name, value string) []string {
	out := append([]string{}, args...)
	for i, arg := range out {
		switch {
		case arg == name && i+1 < len(out):
			out[i+1] = value
			return out
		case strings.HasPrefix(arg, name+"="):
			out[i] = name + "=" + value
			return out
		}
	}
	return out
}

// uncached returns the arguments of a tool with another build ID than the go command gave.
// If the go command does not find its ID in the result, it assumes that the user chose the
// ID, and does not cache the result. So the next build runs the step again (updateBuildID in
// cmd/go/internal/work/buildid.go). An ID that the user did choose stays.
func uncached(args []string) []string {
	given := 0
	for _, arg := range args {
		if arg == "-buildid" || strings.HasPrefix(arg, "-buildid=") {
			given++
		}
	}
	_, rest, ok := strings.Cut(value(args, "-buildid"), "/")
	if given != 1 || !ok {
		return args
	}
	return replace(args, "-buildid", "uncached/"+rest)
}
