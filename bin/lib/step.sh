#!/bin/sh
# What bin/toolexec does with a main package, of which it has all variables:
#
# - The package is compiled with one more import, the hook: a package without
#   imports, compiled on the spot.
# - The link step is given the hook, with which the program is as if nothing had
#   been added. Then command inject, built on first use, puts a hook that imports
#   the agent in its place, or says why not (inject/link.go).
#
# shellcheck disable=SC2086,SC2154 # chain is a program and its arguments

# The declarations are those of the hook that imports the agent (inject/hook.go).
hook_source='package hook

var linked int

func init() { linked++ }'

id=${HMETRICS_STAGE##*/}
host=${1%/*} && host=${host##*/} # inject runs on the build machine, whatever the app is built for
inject=${rebuild:-$HMETRICS_STAGE}/inject-$host
children="$0 -ours" # -toolexec of the go commands that compile inject and the agent
[ -z "$rebuild" ] || children=''

# rewritten TOOL [ARG...]: run the tool with the hook if hooked is set, and the step
# of a main package uncached if that is set: the build ID loses its first character.
# The go command caches nothing whose build ID is not the one that it gave, and makes
# it anew in the next build (updateBuildID in cmd/go/internal/work/buildid.go).
rewritten() {
	n=$# was=''
	while [ "$n" -gt 0 ]; do
		case $uncached$was:$1 in
		*-importcfg:*) set -- "$@" "$1$hooked" ;;
		true-buildid:*) set -- "$@" "${1#?}" ;;
		true*:-buildid=*) set -- "$@" "-buildid=${1#-buildid=?}" ;;
		*) set -- "$@" "$1" ;;
		esac
		was=$1
		shift
		n=$((n - 1))
	done
	pass "$@"
}

# without REASON TOOL [ARG...]: run the step without the agent and say why, or
# fail it. Of a reason in lines the last one counts.
without() {
	reason=$(echo "$1" | tail -n 1)
	shift
	if [ -n "$rebuild" ]; then
		echo "$reason" >"$rebuild/reason"
		exit 1
	fi
	if [ "$mode" = require ]; then
		echo "hmetrics: HMETRICS_INJECT is require, and the metrics agent cannot be linked into ${TOOLEXEC_IMPORTPATH%% *}: $reason" >&2
		exit 1
	fi
	echo "hmetrics: the metrics agent is not linked into ${TOOLEXEC_IMPORTPATH%% *}: $reason" >&2
	rewritten "$@"
}

# hook COMPILER: compile the hook, in the directory that the steps of a program share,
# unless it is there, and make the import config that has it.
hook() {
	if [ ! -f "$dir/hmetrics.hook.a" ]; then
		printf '%s\n' "$hook_source" >"$dir/hmetrics.hook.go" &&
			"$1" -o "$dir/hmetrics.hook.a" -p hmetrics.injected/hook -trimpath "$dir=>hmetrics.injected/hook" \
				-pack $shared "$dir/hmetrics.hook.go" || return
	fi
	printf '%s\n' "$packages" "packagefile hmetrics.injected/hook=$dir/hmetrics.hook.a" >"$config.hmetrics"
}

# in_config PACKAGE: whether the step's import config has the package.
in_config() { case "$packages" in *"packagefile $1="*) ;; *) return 1 ;; esac }

# parent: print the command line of the go command, or of what is between.
parent() { echo " $(tr '\0' ' ' 2>/dev/null <"/proc/$PPID/cmdline") "; }

# link TOOL [ARG...]: have inject run the step, and end with its status, unless inject
# is not there, does not run or is another stage's.
link() {
	[ -f "$inject" ] && [ -s "$inject" ] && [ -x "$inject" ] || return 126
	"$inject" link "$id" "$children" "$chain" "$PPID" "$@"
	status=$?
	case $status in 3 | 12[6-9] | 1[3-9]?) return "$status" ;; esac
	exit "$status"
}

# build TOOL: build inject, by the toolchain that builds the app and under the
# same tool IDs, so that what both need of the standard library is compiled once.
# A wrong guess about -trimpath costs time, nothing else. One step builds, the
# others wait.
build() (
	go=${1%/pkg/tool/*}/bin/go trimpath=''
	[ -x "$go" ] || { echo "no go command at $go beside $1" && exit 1; }
	[ -d "$HMETRICS_STAGE" ] || { echo "$HMETRICS_STAGE has gone: build again" && exit 1; }
	cd "$HMETRICS_STAGE/src/inject" && set +f || exit
	case $GOFLAGS$(parent) in *-trimpath*) trimpath=-trimpath ;; esac
	exec 9<"$HMETRICS_STAGE" && flock -w 600 9 2>/dev/null
	if [ -f "$inject" ] && [ -s "$inject" ] && [ "$("$inject" id 2>/dev/null)" = "$id" ]; then exit; fi
	rm -rf "$inject" "$inject".* &&
		GOFLAGS=-mod=readonly GO111MODULE=on GOWORK=off GOTOOLCHAIN=local GOOS=${host%_*} GOARCH=${host#*_} CGO_ENABLED=0 \
			"$go" build -buildvcs=false $trimpath -ldflags="-s -w -X main.stageID=$id" -toolexec="$children" -o "$inject.$$" . 9<&- &&
		mv -f "$inject.$$" "$inject"
)

case "$* " in
*" -p net/http "*)
	# Now there is all that inject and the agent are made of. Make them for the
	# link, beside the app's own steps. Under PGO the agent's flags are not known.
	$chain "$@" || exit
	case "$GOOS $(parent)$*" in
	*" -pgoprofile"*) ;;
	"linux "*" build "* | "linux "*" install "* | "linux "*" run "*)
		{ build "$1" && "$inject" prepare "$id" "$children" "$chain" "$PPID" "$1"; } </dev/null >/dev/null 2>&1 &
		;;
	esac
	exit 0
	;;
esac

config='' shared='' was=''
for arg; do
	case $was:$arg in
	-importcfg:*) config=$arg ;;
	*:-shared | *:-buildmode=pie | *:-buildmode=c-*) shared=-shared ;;
	esac
	was=$arg
done
dir=${config%/*}
uncached=true hooked='' packages=''
[ -z "$config" ] || packages=$(cat "$config")
# If the app has such a package of its own, the link says so.
in_config hmetrics.injected/hook && own_hook=true || own_hook=''

if [ "${1##*/}" = compile ]; then
	# The driver of a test is no program. With -linkshared no package can be added;
	# the link says so.
	case " $* " in *"/_testmain."* | *" -linkshared "*) pass "$@" ;; esac
	if [ -z "$config" ] || [ -n "$own_hook" ] || ! supported "$1"; then pass "$@"; fi
	problem=$({ hook "$1" && printf 'package main\n\nimport _ "hmetrics.injected/hook"\n' >"$dir/hmetrics.go"; } 2>&1) ||
		without "the hook cannot be compiled: $problem" "$@"
	hooked=.hmetrics uncached=''
	rewritten "$@" "$dir/hmetrics.go"
fi

# Tests have no agent. The linker links no package that nothing imports, so the hook
# does no harm to a program that was compiled without it.
! in_config testing/internal/testdeps || pass "$@"
[ -n "$own_hook" ] || { hook "${1%/*}/compile" && hooked=.hmetrics; }
link "$@"
if problem=$(build "$1" 2>&1); then
	link "$@"
	problem=$("$inject" id 2>&1)
fi
if ! supported "$1"; then
	answer=${answer#* version }
	without "${answer%% *} is too old, Go 1.18 is the oldest that works: raise the go line in go.mod" "$@"
fi
without "the injector cannot be built: $problem" "$@"
