#!/usr/bin/env bash
# What bin/compile and bin/build do if there are already programs. To be sourced after
# output.sh.
set -euo pipefail
# shellcheck source=bin/lib/release.sh
source "${BASH_SOURCE[0]%/*}/release.sh"

# usage: rebuild::programs APP_DIR DIR...
# Prints the names of the app's programs in directories that lack the agent: executables that
# were built from the module in APP_DIR or, if there are no sources, from any module.
rebuild::programs() {
	local module='' text='Go buildinf:'
	[[ ! -f "$1/go.mod" ]] || module=$(sed -n 's/^module[[:space:]]\{1,\}"\{0,1\}\([^[:space:]"]*\).*/\1/p' "$1/go.mod")
	[[ -z "${module}" ]] || text=$'mod\t'${module}$'\t'
	shift
	find -H "$@" \( -name .git -o -name node_modules \) -prune -o \
		-type f -perm -u+x -exec grep -qF -- "${text}" {} \; ! -exec grep -qF hmetrics.injection= {} \; -print 2>/dev/null || true
}

# usage: rebuild::warn_of PROGRAMS INJECT
# Warns of existing programs of the app if no known Go buildpack came before.
rebuild::warn_of() {
	[[ -n "$1" ]] || return 0
	output::warning "${1//$'\n'/, } is a program of the app that was there before this buildpack. If it"
	output::warning "is not built again, it stays without the metrics agent: put this buildpack before your Go"
	output::warning "buildpack, or delete the program from your repository."
	[[ "$2" != require ]] || output::stop "$2"
}

# usage: rebuild::run BUILDPACK STAGE INJECT WORK GO GOCACHE FLAG... APP_DIR [DIR...]
# Builds the app's programs in directories again, with the metrics agent, using the go command
# GO (inject rebuild, with its FLAGs). Leaves the figures for bin/report in WORK/result. Fails
# if the build must stop.
rebuild::run() {
	local buildpack=$1 stage=$2 inject=$3 work=$4 go=$5 gocache=$6 status=0 problem
	shift 6
	problem=$(mkdir "${work}" 2>&1 && rebuild::injector "${buildpack}" "${work}" "${go}" "${gocache}" 2>&1) || {
		rebuild::fail "${inject}" "${problem}"
		return
	}
	"${work}/inject" rebuild -stage "${stage}" -work "${work}" -toolexec "${buildpack}/bin/toolexec" \
		-go "${go}" -inject "${inject}" "$@" 2>"${work}/stderr" || status=$?
	[[ "${status}" != 0 ]] || return 0
	[[ "${status}" != 1 || -s "${work}/stderr" ]] || return 1 # it has said why
	rebuild::fail "${inject}" "the injector ended with status ${status}: $(head -n 20 "${work}/stderr")"
}

# usage: rebuild::injector BUILDPACK WORK GO GOCACHE
# Builds WORK/inject. Writes nothing to HOME, which may be the app's directory.
rebuild::injector() {
	! too_old "$(GOTOOLCHAIN=local "$3" version 2>&1)" || return
	cd "$1/inject" && GOENV=off GOFLAGS=-mod=readonly GO111MODULE=on GOWORK=off GOTOOLCHAIN=local GOOS='' GOARCH='' CGO_ENABLED=0 \
		GOCACHE=${4:-$2/go-build} GOPATH=$2/go-path "$3" build -buildvcs=false -o "$2/inject" .
}

# usage: rebuild::fail INJECT REASON
rebuild::fail() {
	output::warning "Rebuilding with the metrics agent failed: ${2//$'\n'/; }"
	[[ "$1" != require ]] || return
	output::line "The app stays as the Go buildpack built it."
}
