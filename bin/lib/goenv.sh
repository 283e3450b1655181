#!/bin/sh
# usage: sh goenv.sh
#
# Prints GOFLAGS as the go command finds it: in the environment, or where `go env -w` has
# put it (go help environment). Once this buildpack adds to the variable, the go command
# does not look there.
file=${GOENV:-${XDG_CONFIG_HOME:-${HOME:-}/.config}/go/env}
if [ -z "${GOFLAGS:-}" ] && [ "$file" != off ] && [ -f "$file" ]; then
	GOFLAGS=$(sed -n 's/^[[:space:]]*GOFLAGS=//p' "$file" 2>/dev/null | sed -n '$p')
fi
printf '%s' "${GOFLAGS:+$GOFLAGS }"
