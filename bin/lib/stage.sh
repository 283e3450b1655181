#!/usr/bin/env bash
# The stage: what the steps of a build need, in a directory of the build cache that
# is named after a hash of it. To be sourced.
set -euo pipefail

# usage: stage::prepare BUILDPACK STAGES PACKAGES
# Prints the path of the stage in the directory STAGES for this copy of the
# buildpack and this value of HMETRICS_PACKAGES. Fails with the reason instead.
stage::prepare() (
	# GOFLAGS separates flags by white space, and Go before 1.20 knows no quoting.
	if [[ "$1" =~ [[:space:]\"\'] ]]; then
		echo "the go command cannot take -toolexec with a space or a quote in its path: $1. Put the buildpack, or TMPDIR, in a directory without them"
		return 1
	fi
	if [[ ! -r /proc/self/environ ]]; then
		echo "there is no /proc here, which tells how the go command was started. Build on a Linux machine that has it"
		return 1
	fi
	free="Free some space, or build again"
	stage::own "$2"
	problem=$(mkdir -p "$2" 2>&1) || { echo "the cache directory cannot be written: ${problem##*$'\n'}. ${free}" && return 1; }
	root=$(cd "$2" && pwd)
	new=${root}/new.${BASHPID}
	trap 'stage::remove "${new}"' EXIT
	if ! problem=$(stage::fill "$1" "${new}" "$3" 2>&1); then
		# tar tells it for each file.
		problem=$(grep -m 1 Cannot <<<"${problem}" || tail -n 1 <<<"${problem}")
		echo "its sources cannot be staged: ${problem}. ${free}"
		return 1
	fi
	id=$(stage::hash "${new}")
	stage=${root}/${id}

	# Two builds may share a cache. The stage of an earlier one holds what was
	# compiled then, which is of use.
	exec 9<"${root}"
	flock -w 60 9 2>/dev/null || true
	if ! stage::whole "${stage}" "${id}"; then
		stage::remove "${stage}"
		problem=$(mv -T "${new}" "${stage}" 2>&1) || stage::whole "${stage}" "${id}" ||
			{ echo "its sources cannot be staged: ${problem}. ${free}" && return 1; }
	fi
	# What other versions, settings and stopped builds have left: not those of today,
	# which may be at work.
	find "${root}" -mindepth 1 -maxdepth 1 ! -name "${id}" ! -name '.*' -mtime +0 -print0 2>/dev/null |
		while IFS= read -r -d '' old; do stage::remove "${old}"; done
	find "${stage}" -maxdepth 1 \( -name '*.tmp' -o -name 'inject-*.[0-9]*' \) -mtime +0 -print0 2>/dev/null |
		while IFS= read -r -d '' old; do stage::remove "${old}"; done
	echo "${stage}"
)

# usage: stage::own DIR
# Makes way for a directory. The cache may hold anything, and what a link there
# leads to is not ours.
stage::own() { [[ -d "$1" && ! -L "$1" ]] || rm -rf "$1" 2>/dev/null || true; }

# usage: stage::remove PATH
stage::remove() {
	if [[ -d "$1" && ! -L "$1" ]]; then chmod -R u+rwX "$1" 2>/dev/null || true; fi
	rm -rf "$1" 2>/dev/null || true
}

# usage: stage::fill BUILDPACK DIR PACKAGES
# Copies what the link of a program depends on. What only rebuilds and verifies is
# left out: another version of it is no other agent.
stage::fill() {
	mkdir -p "$2/src" || return
	printf '%s\n' "$3" >"$2/packages" || return
	local sources=(go.mod go.sum buildpack.toml bin/toolexec bin/lib/step.sh agent inject)
	# The agent's modules, in what bin/package makes.
	[[ ! -d "$1/vendor" ]] || sources+=(vendor)
	(cd "$1" && find "${sources[@]}" -type f ! -name '*_test.go' ! -path '*/testdata/*' ! -name '*.json' \
		! -path 'inject/rebuild.go' ! -path 'inject/reproduce.go' ! -path 'inject/verify.go' ! -path 'inject/herokugo.go' -print0 |
		tar -cf - --null -T -) |
		tar -xf - -C "$2/src" --no-same-owner
}

# usage: stage::hash DIR
# Prints a hash of all that is staged in DIR.
stage::hash() (
	cd "$1" && find src packages -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -c 1-20
)

# usage: stage::whole DIR ID
# Whether DIR holds what was staged, and nothing that leads out of it or that a
# reader would wait for.
stage::whole() {
	[[ -d "$1" && ! -L "$1" && -z "$(find "$1" ! -type f ! -type d -print -quit 2>&1)" ]] &&
		[[ "$(stage::hash "$1" 2>/dev/null)" == "$2" ]]
}
