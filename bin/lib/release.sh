#!/bin/sh
# Which Go releases can have the agent. To be sourced.

# too_old TEXT: print why, if TEXT, what a tool or a go command says of itself
# (-V=full, go version), names a release that is too old. Fails otherwise.
too_old() {
	case $1 in
	*" version go1."[0-9] | *" version go1."[0-9][!0-9]* | *" version go1.1"[0-7] | *" version go1.1"[0-7][!0-9]*)
		set -- "${1#* version }"
		echo "${1%% *} is too old, Go 1.18 is the oldest that works: raise the go line in go.mod"
		;;
	*) return 1 ;;
	esac
}
