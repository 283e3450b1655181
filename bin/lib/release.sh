#!/bin/sh
# Which Go releases support the agent. To be sourced.

# too_old TEXT: if TEXT, the version of a tool or a go command (-V=full, go version), names a
# release that is too old, print that. Otherwise fail.
too_old() {
	case $1 in
	*" version go1."[0-9] | *" version go1."[0-9][!0-9]* | *" version go1.1"[0-7] | *" version go1.1"[0-7][!0-9]*)
		set -- "${1#* version }"
		echo "${1%% *} is too old, Go 1.18 is the oldest that works: raise the go line in go.mod"
		;;
	*) return 1 ;;
	esac
}
