#!/usr/bin/env bash
# How this buildpack speaks in a build log. To be sourced.
set -euo pipefail

# usage: output::step TEXT
output::step() { echo "-----> $1"; }

# usage: output::line TEXT
output::line() { echo "       ${1//[[:cntrl:]]/?}"; }

# usage: output::warning TEXT
output::warning() { echo " !     ${1//[[:cntrl:]]/?}"; }

# usage: output::give_up INJECT REASON
# Ends the buildpack, having set nothing, so that the app is built as if it were
# absent, or stops the build if INJECT is require.
output::give_up() {
	output::warning "The metrics agent will not be linked: $2"
	[[ "$1" == require ]] || exit 0
	output::warning "HMETRICS_INJECT is require, so the build stops here."
	exit 1
}
