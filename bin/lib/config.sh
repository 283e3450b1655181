#!/usr/bin/env bash
# The build-time settings. To be sourced after output.sh.
set -euo pipefail

# usage: config::get ENV_DIR NAME
# Prints the value of a config var in one line, or nothing.
config::get() {
	[[ -n "$1" && -f "$1/$2" && -r "$1/$2" ]] || return 0
	tr -s '[:space:]' ' ' <"$1/$2" | tr -d '\0' | sed 's/^ //; s/ $//'
}

# usage: config::check ENV_DIR
# Warns of settings that cannot be used.
config::check() {
	local name inject
	for name in HMETRICS_INJECT HMETRICS_PACKAGES; do
		if [[ -n "$1" && -e "$1/$name" && ! -r "$1/$name" ]]; then
			output::warning "The config var ${name} cannot be read: using its default."
		fi
	done
	inject=$(config::get "$1" HMETRICS_INJECT)
	case ${inject} in
	"" | auto | require | off) ;;
	*) output::warning "HMETRICS_INJECT is '${inject:0:40}'. It takes auto, require or off; using auto." ;;
	esac
}

# usage: config::inject ENV_DIR
# Prints auto, require or off.
config::inject() {
	case $(config::get "$1" HMETRICS_INJECT) in
	require) echo require ;;
	off) echo off ;;
	*) echo auto ;;
	esac
}

# usage: config::chosen PACKAGES
# Prints what HMETRICS_PACKAGES selects, for the build log.
config::chosen() { if [[ -n "$1" ]]; then echo "${1:0:200}"; else echo "every binary of the app"; fi; }
