#!/usr/bin/env bash
# What bin/compile knows of heroku/go: what it leaves behind where it came before,
# and how it takes the config vars. To be sourced after stage.sh, by bin/compile,
# whose build_dir, cache_dir and env_dir it uses.
# shellcheck disable=SC2154
set -euo pipefail

# No program can be started with a longer variable in its environment.
longest=120000

# usage: heroku_go::environment GOROOT
# Sets what heroku/go sets, and what it takes of the config vars.
heroku_go::environment() {
	local name value
	local names=(CGO_CFLAGS CGO_CPPFLAGS CGO_CXXFLAGS CGO_LDFLAGS GOFLAGS GOPROXY GOPRIVATE GONOPROXY
		GO_LINKER_SYMBOL GO_LINKER_VALUE GO_SETUP_GOPATH_FOR_MODULE_CACHE)
	export GO_LINKER_VALUE=${SOURCE_VERSION:-}
	for name in "${names[@]}"; do
		[[ -n "${env_dir}" && -f "${env_dir}/${name}" ]] || continue
		if (($(stat -c %s "${env_dir}/${name}") >= longest)); then
			output::warning "The config var ${name} is too long for the environment of a program. Rebuilding without it."
			continue
		fi
		value=$(BUILD_DIR=${build_dir} awk '{
			if (at = index($0, "${build_dir}")) $0 = substr($0, 1, at - 1) ENVIRON["BUILD_DIR"] substr($0, at + 12)
			print
		}' <"${env_dir}/${name}" | tr -d '\0')
		export "${name}=${value}"
	done
	export GOROOT=$1 PATH=$1/bin:${PATH}
	export GOCACHE=${cache_dir}/.heroku/go/go-build-cache GOBIN=${build_dir}/bin
	export GOPATH=${cache_dir}/.heroku/go/go-path
	[[ "${GO_SETUP_GOPATH_FOR_MODULE_CACHE:-}" != true ]] || export GOPATH=${build_dir}/.heroku/go-path
	unset GIT_DIR
}

# usage: heroku_go::root
# Prints the GOROOT that heroku/go has used in this build, or fails.
heroku_go::root() {
	local meta=${build_dir}/.heroku/go/.meta root
	[[ -f "${meta}" && ! -L "${meta}" && -d "${build_dir}/bin" ]] || return
	for root in "${cache_dir}"/.heroku/go/*/go; do
		[[ -x "${root}/bin/go" && ! -d "${root}/bin/go" ]] && echo "${root}" && return
	done
	return 1
}

# usage: quotes::closed TEXT
# Whether the go command can split TEXT: at white space, with quotes around
# whole flags only.
quotes::closed() {
	local rest=$1 flag=$'^[ \t\r\n]*(\'[^\']*\'|"[^"]*"|[^ \t\r\n\'"][^ \t\r\n]*)'
	while [[ "${rest}" =~ ${flag} ]]; do
		rest=${rest:${#BASH_REMATCH[0]}}
	done
	[[ ! "${rest}" =~ [^[:space:]] ]]
}

# usage: goflags::add FILE
# Adds this buildpack's -toolexec to a config var, after the user's own flags,
# which stay byte for byte. One that an earlier build added goes.
goflags::add() {
	local ours=" -toolexec=${buildpack}/bin/toolexec" end old=0 size
	size=$(stat -c %s "$1")
	end=$(tail -c 4096 "$1" | tr -d '\0')
	if [[ "${end}" =~ \ -toolexec=(/[^[:space:]]*/bin/toolexec)$ ]]; then
		if [[ ! -e "${BASH_REMATCH[1]}" ]] || grep -qs HMETRICS_STAGE "${BASH_REMATCH[1]}"; then
			old=${#BASH_REMATCH[0]}
		fi
	fi
	if ((size - old + ${#ours} >= longest)); then
		echo "with ${size} bytes it is too long for any program"
		return 1
	fi
	local new=${1%/*}/.hmetrics.$$
	{ head -c "$((size - old))" "$1" && printf '%s' "${ours}"; } >"${new}" && chmod --reference="$1" "${new}" && mv -f "${new}" "$1" && return
	rm -f "${new}"
	return 1
}
