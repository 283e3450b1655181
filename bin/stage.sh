#!/usr/bin/env bash
# What bin/compile and bin/build have in common: config vars, the build log, and
# the stage. To be sourced.
set -euo pipefail

buildpack=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# usage: output::step TEXT
output::step() { echo "-----> $1"; }

# usage: output::line TEXT
output::line() { echo "       $1"; }

# usage: output::warning TEXT
output::warning() { echo " !     $1"; }

# usage: config::get ENV_DIR NAME DEFAULT
# Prints the value of a config var in one line.
config::get() {
	if [[ -n "$1" && -f "$1/$2" ]]; then
		tr -s '[:space:]' ' ' <"$1/$2" | sed 's/^ //; s/ $//'
	else
		echo "$3"
	fi
}

# usage: config::load ENV_DIR
# Sets inject, packages and debug to the build-time settings, and chosen to
# packages as the build log calls them.
config::load() {
	inject=$(config::get "$1" HMETRICS_INJECT auto)
	packages=$(config::get "$1" HMETRICS_PACKAGES "")
	chosen=${packages:0:200}
	chosen=${chosen:-every binary of the app}
	case ${inject} in
	auto | require | off) ;;
	"") inject=auto ;;
	*)
		output::warning "HMETRICS_INJECT is '${inject:0:40}'. It takes auto, require or off; using auto."
		inject=auto
		;;
	esac
	case $(config::get "$1" HMETRICS_DEBUG "") in
	1 | t | T | true | TRUE | True) debug=true ;;
	*) debug= ;;
	esac
}

# usage: aside WHY REMEDY
# Ends the buildpack, having set nothing, so that the app is built as if it were
# absent.
aside() {
	output::warning "The metrics agent will not be linked: $1"
	output::warning "$2"
	if [[ "${inject}" == require ]]; then
		output::warning "HMETRICS_INJECT is require, so the build stops here."
		exit 1
	fi
	exit 0
}

# usage: quote TEXT
# Prints TEXT as one word of shell.
quote() { printf "'%s'" "${1//\'/\'\\\'\'}"; }

# usage: stage::own DIR
# Makes way for a directory. The cache may hold anything, and what a link there
# leads to is not ours.
stage::own() { [[ -d "$1" && ! -L "$1" ]] || rm -rf "$1"; }

# usage: stage::hash DIR
# Prints a hash of all that is staged in DIR.
stage::hash() {
	local sum=(sha256sum)
	command -v sha256sum >/dev/null || sum=(shasum -a 256)
	(cd "$1" && find src packages -type f | LC_ALL=C sort | xargs "${sum[@]}" | "${sum[@]}" | cut -c 1-20)
}

# usage: stage::fill DIR
stage::fill() {
	mkdir -p "$1" || return
	printf '%s\n' "${packages}" >"$1/packages" || return
	local sources=(go.mod go.sum buildpack.toml bin/toolexec agent inject)
	# The agent's modules, in what bin/package makes.
	[[ ! -d "${buildpack}/vendor" ]] || sources+=(vendor)
	mkdir -p "$1/src" || return
	(cd "${buildpack}" && find "${sources[@]}" -type f \
		! -name '*_test.go' ! -path '*/testdata/*' ! -path 'agent/example/*' | tar -cf - -T -) |
		tar -xf - -C "$1/src" --no-same-owner
}

# usage: stage::prepare DIR
# Sets stage to the one directory that DIR then holds: the stage that is named
# after the hash of all that is in it. Sets debug to the file that HMETRICS_DEBUG
# asks for.
stage::prepare() {
	# GOFLAGS separates flags by white space, and Go before 1.20 knows no quoting.
	if [[ "${buildpack}" =~ [[:space:]\"\'] ]]; then
		aside "the go command cannot take -toolexec with a space or a quote in its path: ${buildpack}" \
			"Put the buildpack, or TMPDIR, in a directory without them."
	fi
	if [[ ! -r /proc/self/stat ]]; then
		aside "there is no /proc here, which tells how the go command was started" "Build on a Linux machine that has it."
	fi
	local problem stages new id old
	problem=$(stage::own "$1" 2>&1 && mkdir -p "$1" 2>&1) ||
		aside "the cache directory cannot be written: ${problem}" "Free some space, or build again."
	stages=$(cd "$1" && pwd)
	new=${stages}/new.$$
	# shellcheck disable=SC2064 # new is local
	trap "rm -rf $(quote "${new}")" EXIT
	problem=$(stage::fill "${new}" 2>&1) || {
		# tar tells it for each file.
		problem=$(grep -m 1 Cannot <<<"${problem}" || tail -n 1 <<<"${problem}")
		aside "its sources cannot be staged: ${problem}" "Free some space, or build again."
	}
	id=$(stage::hash "${new}")
	stage=${stages}/${id}

	# The stage of the last build holds what was compiled then. It is of use if
	# everything that injection depends on is the same.
	if [[ -L "${stage}" || "$(stage::hash "${stage}" 2>/dev/null)" != "${id}" ]]; then
		problem=$(rm -rf "${stage}" && mv "${new}" "${stage}" 2>&1) ||
			aside "its sources cannot be staged: ${problem}" "Free some space, or build again."
	fi
	for old in "${stages}"/*; do
		[[ "${old}" == "${stage}" ]] || rm -rf "${old}"
	done
	# What builds that ended, or were killed, left behind.
	rm -rf "${stage}"/{debug.log,said,inject-*.[0-9]*} "${stage}"/{,listings/,runs/}*.tmp

	if [[ -n "${debug}" ]]; then
		debug=${stage}/debug.log
		output::line "HMETRICS_DEBUG: what is decided for each build step goes into ${debug}"
	fi
}
