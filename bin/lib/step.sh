#!/bin/sh
# Runs the step of a main package with command step, which it builds on first use. To be
# sourced by bin/toolexec. Uses its variables.
#
# shellcheck disable=SC2154

id=${HMETRICS_STAGE##*/}
host=${1%/*} && host=${host##*/} # step runs on the build machine, whatever the app is built for
step=$HMETRICS_STAGE/step-$host
children="$0 -ours" # -toolexec of the go commands that compile step and the agent
[ -z "$rebuild" ] || children=''
go_command=$(parent)
one='' # -p=1 asks for one compiler at a time
case "$GOFLAGS $go_command" in *-p=1[[:space:]\"\']* | *" -p 1 "*) one=-p=1 ;; esac

# is_built: whether step and the sources that it reads exist, and step runs and belongs to
# this stage.
is_built() {
	[ -f "$HMETRICS_STAGE/src/inject/step/hook/hook.go.txt" ] && [ -f "$step" ] && [ -s "$step" ] &&
		[ "$("$step" -id 2>/dev/null)" = "$id" ]
}

# build TOOL: build step with the app's toolchain and under the same tool IDs, so that shared
# packages of the standard library are compiled once. A wrong guess about -trimpath only
# costs time. One step of the build does the work; the others wait.
build() (
	go=${1%/pkg/tool/*}/bin/go trimpath=''
	[ -x "$go" ] || { echo "no go command at $go beside $1" && exit 1; }
	cd "$HMETRICS_STAGE/src/inject/step" 2>/dev/null || {
		echo "build cache entry $HMETRICS_STAGE was deleted during the build: run the build again" && exit 1
	}
	set +f
	case $GOFLAGS$go_command in *-trimpath*) trimpath=-trimpath ;; esac
	exec 9<"$HMETRICS_STAGE" && flock -w 600 9 2>/dev/null
	! is_built || exit 0
	rm -rf "$step" "$step".* &&
		GOFLAGS=-mod=readonly GO111MODULE=on GOWORK=off GOTOOLCHAIN=local GOOS=${host%_*} GOARCH=${host#*_} CGO_ENABLED=0 \
			"$go" build -buildvcs=false $trimpath $one -ldflags="-s -w -X main.stageID=$id" -toolexec="$children" -o "$step.$$" . 9<&- &&
		mv -f "$step.$$" "$step" || exit
	is_built || { "$step" -id && exit 1; }
)

# problem_of TEXT: print the first problem in TEXT (Problem in inject/internal/gocmd).
problem_of() {
	printf '%s\n' "$1" | while IFS= read -r line; do
		case $line in
		'' | '# '* | 'go: downloading '* | *[Ww]'arning: '*) ;;
		*:) printf '%s ' "$line" ;;
		*) printf '%s\n' "$line" && break ;;
		esac
	done
}

# provide_hook LINKER [ARG...]: compile the hook for a link step. An earlier build with the same
# build cache may have compiled the main package with it. The hook needs the fingerprint that
# compileHook in inject/step/hook.go gives it, which depends on the file's name.
provide_hook() {
	dir=${config%/*}/hmetrics.hook shared=''
	case "$packages" in *"packagefile hmetrics.injected/hook="*) return ;; esac
	case "$* " in *" -shared "* | *" -buildmode=pie "* | *" -buildmode=c-"*) shared=-shared ;; esac
	mkdir -p "$dir" && cat "${0%/bin/*}/inject/step/hook/hook.go.txt" >"$dir/hook.go" &&
		"${1%/*}/compile" -o "$dir/hook.a" -p hmetrics.injected/hook -trimpath "$dir=>hmetrics.injected/hook" -pack $shared "$dir/hook.go" &&
		printf '%s\n' "$packages" "packagefile hmetrics.injected/hook=$dir/hook.a" >"$config.hmetrics" && hooked=.hmetrics
}

# without_agent REASON TOOL [ARG...]: run a step that command step cannot run. The link step
# prints the reason, unless it fails for another one. The result gets another build ID than
# the go command gave, so that it is not cached (see uncached in inject/step/args.go) and the
# next build tries again.
without_agent() {
	reason=$1 given='' n=0 was='' config='' hooked='' program=${TOOLEXEC_IMPORTPATH%% *}
	shift
	if [ "${1##*/}" = link ]; then
		# Tests have no agent.
		for arg; do
			case $was:$arg in *:-importcfg=*) was=-importcfg arg=${arg#*=} ;; esac
			[ "$was" != -importcfg ] || config=$arg
			was=$arg
		done
		packages=$(cat "$config")
		case $packages in *"packagefile testing/internal/testdeps="*) pass "$@" ;; esac
		if [ -n "$rebuild" ]; then echo "$reason" >"$rebuild/reason" && exit 1; fi
		if [ "$mode" = require ]; then echo "hmetrics: HMETRICS_INJECT is require, and the metrics agent cannot be linked into $program: $reason" >&2 && exit 1; fi
	fi
	[ -n "$old" ] || [ -z "$config" ] || provide_hook "$@"
	for arg; do case $arg in -buildid | -buildid=*) given=$given+ ;; esac done
	was=''
	[ -n "$old" ] || n=$#
	while [ "$n" -gt 0 ]; do
		case $given:$was:$1 in
		+:-buildid:*/*) set -- "$@" "uncached/${1#*/}" ;;
		+:*:-buildid=*/*) set -- "$@" "-buildid=uncached/${1#*/}" ;;
		*:-importcfg:"$config") set -- "$@" "$config$hooked" ;;
		*) set -- "$@" "$1" ;;
		esac
		was=$1
		shift
		n=$((n - 1))
	done
	# A shell prints "Killed" if a tool is killed. The go command already says so.
	exec 3>&2 2>/dev/null
	# shellcheck disable=SC2086
	sh -c 'exec "$@" 2>&3 3>&-' sh $user "$@"
	status=$?
	exec 2>&3 3>&-
	# What go run prints may be written to a file.
	case $status:${1##*/}:$go_command in
	0:link:*"go run "*) ;;
	0:link:*) echo "hmetrics: the metrics agent is not linked into $program: $reason" >&2 ;;
	esac
	[ "$status" -le 128 ] || kill "-$((status - 128))" $$
	exit "$status"
}

case "$* " in
*" -p net/http "*)
	# Now everything that step and the agent need exists. Build them for the link, beside
	# the app's own steps. Under PGO, the agent's flags are not known.
	# shellcheck disable=SC2086
	$user "$@" || exit
	case "$one$GOOS $go_command$*" in
	-p=1* | *" -pgoprofile"*) ;;
	"linux "*" build "* | "linux "*" install "* | "linux "*" run "*)
		{ build "$1" && "$step" -stage "$HMETRICS_STAGE" -toolexec "$children" -user-toolexec "$user" -parent "$PPID" -prepare -- "$1"; } </dev/null >/dev/null 2>&1 &
		;;
	esac
	exit 0
	;;
esac

if old=$(too_old "$(pass "$1" -V=full)"); then without_agent "$old" "$@"; fi
if ! is_built; then
	problem=$(build "$1" 2>&1) || without_agent "the injector cannot be built: $(problem_of "$problem")" "$@"
fi
exec "$step" -stage "$HMETRICS_STAGE" -toolexec "$children" -user-toolexec "$user" -rebuild "$rebuild" -inject "$mode" -- "$@"
