#!/bin/sh
# usage: sh goenv.sh
#
# If the environment has no GOFLAGS, prints the GOFLAGS of `go env -w` and a space (go help
# environment). Once this buildpack sets the variable, the go command does not read that.
file=${GOENV:-${XDG_CONFIG_HOME:-${HOME:-}/.config}/go/env}
if [ -z "${GOFLAGS:-}" ] && [ "$file" != off ] && [ -f "$file" ]; then
	kept=$(sed -n 's/^[[:space:]]*GOFLAGS=//p' "$file" 2>/dev/null | sed -n '$p')
	printf '%s' "${kept:+$kept }"
fi
