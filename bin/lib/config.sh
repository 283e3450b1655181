#!/usr/bin/env bash
# The build-time settings. To be sourced after output.sh.
set -euo pipefail

# usage: config::get ENV_DIR NAME
# Prints the words of a config var in one line, or nothing.
config::get() (
	[[ -n "$1" && -f "$1/$2" && -r "$1/$2" ]] || exit 0
	IFS=$' \t\n\r\f\v'
	set -f
	# shellcheck disable=SC2207 # splitting is what is wanted
	{ words=($(<"$1/$2")); } 2>/dev/null
	printf '%s' "${words[*]:-}"
)

# usage: config::inject ENV_DIR
# Prints auto, require or off.
config::inject() {
	local value
	value=$(config::get "$1" HMETRICS_INJECT)
	case ${value} in
	require | off) echo "${value}" ;;
	*) echo auto ;;
	esac
}

# usage: config::check ENV_DIR
# Warns of invalid settings.
config::check() {
	local name value
	for name in HMETRICS_INJECT HMETRICS_PACKAGES; do
		if [[ -n "$1" && -e "$1/${name}" && ! -r "$1/${name}" ]]; then
			output::warning "The config var ${name} cannot be read: using its default."
		fi
	done
	value=$(config::get "$1" HMETRICS_INJECT)
	case ${value} in
	"" | auto | require | off) ;;
	*) output::warning "HMETRICS_INJECT is '${value:0:40}'. It takes auto, require or off; using auto." ;;
	esac
}

# usage: config::promise PACKAGES
# Prints what the build will try.
config::promise() {
	local packages=${1:0:200}
	output::line "The Go buildpack after this one will try to link the metrics agent into ${packages:-every program of the app}."
	output::line "For each program that it will link, its log says whether the program has the agent, or why not."
}
