#!/bin/sh
# usage: sh goenv.sh
#
# Prints what `go env -w` has put into GOFLAGS, and a space, where the environment has no
# GOFLAGS (go help environment): once this buildpack adds to the variable, the go command
# does not look there.
file=${GOENV:-${XDG_CONFIG_HOME:-${HOME:-}/.config}/go/env}
if [ -z "${GOFLAGS:-}" ] && [ "$file" != off ] && [ -f "$file" ]; then
	kept=$(sed -n 's/^[[:space:]]*GOFLAGS=//p' "$file" 2>/dev/null | sed -n '$p')
	printf '%s' "${kept:+$kept }"
fi
