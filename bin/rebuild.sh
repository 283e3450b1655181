#!/usr/bin/env bash
# What bin/compile and bin/build do where the Go buildpack came before this one.
# To be sourced after stage.sh, of which it uses stage, inject, debug and buildpack.
# shellcheck disable=SC2034,SC2154
set -euo pipefail

# usage: rebuild::run GO BIN_DIR APP_DIR
# Builds the app's programs in BIN_DIR once more, now with the metrics agent, by
# the go command GO (an absolute path) in the environment at hand, which must be
# the Go buildpack's. Call it after stage::prepare. Sets found to the number of the
# app's programs in BIN_DIR, rebuilt to the number of those that got the agent
# now, kept to the number of those that could not get it, and rebuild_seconds to
# the time that it took. If nothing could be rebuilt at all, which is said, found
# is 0 and kept 1. Returns 1, with all programs as they were, if HMETRICS_INJECT is
# require and one could not get it.
rebuild::run() {
	found=0 rebuilt=0 kept=0 rebuild_seconds=0.0
	local go=$1 work=${stage}/rebuild.tmp problem version
	version=$(GOTOOLCHAIN=local "${go}" version 2>&1) || version=
	case ${version} in
	"go version go1."[0-9] | "go version go1."[0-9][!0-9]* | "go version go1.1"[0-7] | "go version go1.1"[0-7][!0-9]*)
		version=${version#go version }
		rebuild::fail "${version%% *} is too old, Go 1.18 is the oldest that works: raise the go line in go.mod"
		return
		;;
	esac
	rm -rf "${work}"
	problem=$(
		{ mkdir -p "${work}" && cd "${stage}/src/inject"; } 2>&1 &&
			GOFLAGS=-mod=readonly GO111MODULE=on GOWORK=off GOTOOLCHAIN=local GOOS='' GOARCH='' CGO_ENABLED=0 \
				"${go}" build -buildvcs=false -o "${work}/inject" . 2>&1
	) || {
		rebuild::fail "the injector cannot be built: $(tail -n 1 <<<"${problem}")"
		return
	}
	{ problem=$(
		HMETRICS_STAGE=${stage} HMETRICS_INJECT=${inject} HMETRICS_DEBUG=${debug} \
			"${work}/inject" rebuild "${work}" "${buildpack}/bin/toolexec" "${go}" "$2" "$3" 2>&1 >&3
	); } 3>&1 || {
		rebuild::fail "${problem:-the injector was killed}"
		return
	}
	read -r found rebuilt kept rebuild_seconds <"${work}/result"
	rm -rf "${work}"
}

# usage: rebuild::fail WHY
rebuild::fail() {
	rm -rf "${stage}/rebuild.tmp"
	found=0 rebuilt=0 kept=1
	output::warning "Rebuilding with the metrics agent has failed: $1"
	if [[ "$1" == *GOFLAGS* ]]; then
		output::warning "Mend GOFLAGS, or type: heroku config:unset GOFLAGS"
	fi
	if [[ "${inject}" == require ]]; then
		output::warning "HMETRICS_INJECT is require, so the build stops here. Every program is as it was."
		return 1
	fi
	output::line "The app stays as the Go buildpack has built it."
}
