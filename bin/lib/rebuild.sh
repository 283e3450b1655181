#!/usr/bin/env bash
# What bin/compile and bin/build do where the Go buildpack came before this one. To
# be sourced after output.sh.
set -euo pipefail
# shellcheck source=bin/lib/release.sh
source "${BASH_SOURCE[0]%/*}/release.sh"

# usage: rebuild::run BUILDPACK STAGE INJECT RESULT GO BIN_DIR APP_DIR ENV_DIR [CACHE_DIR]
# Builds the app's programs in BIN_DIR once more, now with the metrics agent, by the
# go command GO, and leaves in the file RESULT what bin/report tells of it. ENV_DIR
# may be empty. With CACHE_DIR the environment is the one that heroku/go makes of it.
# INJECT is auto or require. Ends with status 1 if the build is to stop, and with 3
# if no program of the app is in BIN_DIR.
rebuild::run() {
	local buildpack=$1 stage=$2 inject=$3 result=$4 go=$5 work problem host status=0
	shift 4
	rm -rf "${result}"
	work=$(mktemp -d "${stage}/rebuild.XXXXXX")
	if problem=$(too_old "$(GOTOOLCHAIN=local "${go}" version 2>&1)"); then
		rebuild::fail "${inject}" "${result}" "${problem}"
		return
	fi
	host=$(GOFLAGS='' GOTOOLCHAIN=local GOOS='' GOARCH='' "${go}" env GOTOOLDIR) && host=${host##*/}
	problem=$(
		cd "${buildpack}/inject" 2>&1 &&
			GOFLAGS=-mod=readonly GO111MODULE=on GOWORK=off GOTOOLCHAIN=local GOOS='' GOARCH='' CGO_ENABLED=0 \
				"${go}" build -buildvcs=false -o "${work}/inject-${host}" . 2>&1
	) || {
		rebuild::fail "${inject}" "${result}" "the injector cannot be built: $(tail -n 1 <<<"${problem}")"
		return
	}
	{ problem=$(
		HMETRICS_STAGE=${stage} HMETRICS_INJECT=${inject} \
			"${work}/inject-${host}" rebuild "${work}" "${buildpack}/bin/toolexec" "${result}" "$@" 2>&1 >&3
	); } 3>&1 || status=$?
	rm -rf "${work}"
	case ${status} in
	0 | 3) return "${status}" ;;
	*) rebuild::fail "${inject}" "${result}" "${problem:-the injector was killed}" ;;
	esac
}

# usage: rebuild::fail INJECT RESULT WHY
rebuild::fail() {
	echo '"rebuilt": 0, "kept": 1' 2>/dev/null >"$2" || true
	output::warning "Rebuilding with the metrics agent has failed: $3"
	if [[ "$1" == require ]]; then
		output::warning "HMETRICS_INJECT is require, so the build stops here. Every program is as it was."
		return 1
	fi
	output::line "The app stays as the Go buildpack has built it."
}
