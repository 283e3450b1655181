#!/usr/bin/env bash
# What bin/compile knows about heroku/go and its forks: what they leave behind if they came
# before, and how they read the config var GOFLAGS. To be sourced.
set -euo pipefail

# usage: heroku_go::came_before BUILD_DIR
heroku_go::came_before() {
	local meta
	for meta in "$1"/.heroku/go/.meta "$1"/.scalingo/go/.meta; do
		[[ ! -f "${meta}" || -L "${meta}" ]] || return 0
	done
	return 1
}

# usage: heroku_go::root CACHE_DIR
# Prints the GOROOT of heroku/go or a fork, or fails.
heroku_go::root() {
	local root
	for root in "$1"/.heroku/go/*/go "$1"/.scalingo/go/*/go "$1"/go*/go; do
		[[ -x "${root}/bin/go" && ! -d "${root}/bin/go" ]] && echo "${root}" && return
	done
	return 1
}

# usage: goflags::add FILE TOOLEXEC
# Adds -toolexec to the config var GOFLAGS, after the user's own flags, which stay byte for
# byte. Removes the one that an earlier build added. Fails with the reason.
goflags::add() {
	local LC_ALL=C value end new=${1%/*}/.hmetrics.$$
	value=$(cat "$1" && echo x) || return
	value=${value%x}
	end=${value:$((${#value} > 4096 ? ${#value} - 4096 : 0))}
	if [[ "${end}" =~ \ -toolexec=(/[^[:space:]]*/bin/toolexec)$ ]]; then
		if [[ ! -e "${BASH_REMATCH[1]}" ]] || grep -qs HMETRICS_STAGE "${BASH_REMATCH[1]}"; then
			value=${value%"${BASH_REMATCH[0]}"}
		fi
	fi
	# No program can be started with a longer variable in its environment.
	if ((${#value} + ${#2} >= 120000)); then
		echo "with ${#value} bytes it is too long for any program"
		return 1
	fi
	{ cp -p "$1" "${new}" && printf '%s' "${value} -toolexec=$2" >"${new}" && mv -f "${new}" "$1"; } && return
	rm -f "${new}"
	return 1
}
