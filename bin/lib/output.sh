#!/usr/bin/env bash
# How this buildpack writes to a build log, and how it ends. To be sourced.
set -euo pipefail

# usage: output::step TEXT
output::step() { echo "-----> $1"; }

# usage: output::line TEXT
output::line() { echo "       ${1//[[:cntrl:]]/?}"; }

# usage: output::warning TEXT
output::warning() { echo " !     ${1//[[:cntrl:]]/?}"; }

# usage: output::stop INJECT
# Exits if the agent cannot be linked. If INJECT is require, fails the build.
output::stop() {
	[[ "$1" == require ]] || exit 0
	output::warning "HMETRICS_INJECT is require, so the build stops here."
	exit 1
}

# usage: output::give_up INJECT REASON
output::give_up() {
	output::warning "The metrics agent will not be linked: $2"
	output::stop "$1"
}

# usage: trap 'output::end INJECT $?' EXIT
# If this buildpack fails, the build goes on unless INJECT is require.
output::end() {
	[[ "$2" != 0 && "$1" != require ]] || exit "$2"
	output::warning "This buildpack failed with status $2, so the metrics agent may be missing. The build goes on."
	exit 0
}
