#!/usr/bin/env bash
# What bin/compile knows of heroku/go: what it leaves behind where it came before,
# and how it takes the config var GOFLAGS. To be sourced.
set -euo pipefail

# usage: heroku_go::root BUILD_DIR CACHE_DIR
# Prints the GOROOT that heroku/go has used in this build, or fails.
heroku_go::root() {
	local meta=$1/.heroku/go/.meta root
	[[ -f "${meta}" && ! -L "${meta}" && -d "$1/bin" ]] || return
	for root in "$2"/.heroku/go/*/go; do
		[[ -x "${root}/bin/go" && ! -d "${root}/bin/go" ]] && echo "${root}" && return
	done
	return 1
}

# usage: goflags::add FILE TOOLEXEC
# Adds -toolexec to the config var GOFLAGS, after the user's own flags, which stay
# byte for byte. One that an earlier build added goes. Fails with the reason.
goflags::add() {
	local ours=" -toolexec=$2" end old=0 size new=${1%/*}/.hmetrics.$$
	size=$(stat -c %s "$1")
	end=$(tail -c 4096 "$1" | tr -d '\0')
	if [[ "${end}" =~ \ -toolexec=(/[^[:space:]]*/bin/toolexec)$ ]]; then
		if [[ ! -e "${BASH_REMATCH[1]}" ]] || grep -qs HMETRICS_STAGE "${BASH_REMATCH[1]}"; then
			old=${#BASH_REMATCH[0]}
		fi
	fi
	# No program can be started with a longer variable in its environment.
	if ((size - old + ${#ours} >= 120000)); then
		echo "with ${size} bytes it is too long for any program"
		return 1
	fi
	{ head -c "$((size - old))" "$1" && printf '%s' "${ours}"; } >"${new}" && chmod --reference="$1" "${new}" && mv -f "${new}" "$1" && return
	rm -f "${new}"
	return 1
}
