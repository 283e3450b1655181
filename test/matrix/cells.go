package main

import "strings"

var (
	needsC     = needsCommand("no C compiler", "command -v gcc")
	needsCPP   = needsCommand("no C++ compiler", "command -v g++")
	needsClang = needsCommand("no clang, and gcc has no -fsanitize=memory", "command -v clang")
	needsASan  = needsCommand("the C compiler has no -fsanitize=address",
		"echo 'int main(){return 0;}' | gcc -fsanitize=address -x c -o /dev/null -")
	needsV3    = needsCommand("the processor is older than x86-64-v3", "grep -qw avx2 /proc/cpuinfo && grep -qw bmi2 /proc/cpuinfo && grep -qw fma /proc/cpuinfo")
	needsMount = needsCommand("no right to mount: needed to make the module cache read-only even for root",
		"unshare -m bash -c 'd=$(mktemp -d); trap \"rmdir $d\" EXIT; mount --bind $d $d && umount $d'")
)

// oldest is the oldest Go release that gets the agent.
const oldest = "go1.18.10"

// releases are the Go releases between the oldest and the local one, each at
// its last patch.
var releases = []string{
	"go1.19.13", "go1.20.14", "go1.21.13", "go1.22.12", "go1.23.12", "go1.24.13", "go1.25.14",
}

func cells() []cell {
	var all []cell
	for _, group := range [][]cell{
		releaseCells(), flagCells(), commandCells(), layoutCells(), nameCells(), limitCells(),
	} {
		all = append(all, group...)
	}
	return all
}

var app = []string{"./app"}

func releaseCells() []cell {
	list := []cell{
		{name: "releases/" + oldest, release: oldest, build: "go build -o app .", reports: app, short: true},
	}
	for _, release := range releases {
		list = append(list, cell{name: "releases/" + release, release: release, build: "go build -o app .", reports: app})
	}
	const oldFlags = `-trimpath "-gcflags=all=-l" -ldflags "-s -w -X main.version=1" -tags=extra`
	return append(list,
		cell{name: "releases/local", build: "go build -o app . && echo note: $(go env GOVERSION)", reports: app, short: true},
		cell{name: "releases/" + oldest + "/flags", release: oldest, build: "go build " + oldFlags + " -o app .", reports: app, works: "works 1 tagged", short: true},
		cell{name: "releases/" + oldest + "/GOFLAGS", release: oldest, env: []string{"GOFLAGS=-trimpath -gcflags=all=-l -ldflags=-s -tags=extra"}, build: "go build -o app .", reports: app, works: "works dev tagged", short: true},
		cell{name: "releases/" + oldest + "/race", release: oldest, build: "go build -race -o app .", reports: app, needs: needsC},
		cell{name: "releases/" + oldest + "/pie", release: oldest, build: "go build -buildmode=pie -o app .", reports: app},
		cell{name: "releases/go1.21.13/flags", release: "go1.21.13", build: "go build " + oldFlags + " -o app .", reports: app, works: "works 1 tagged"},
		cell{name: "releases/toolchain-line", release: "go1.21.13", env: []string{"GOTOOLCHAIN=auto"},
			setup:   "go mod edit -go=1.21 -toolchain=go1.23.12",
			build:   "go build -o app . && go version app | grep go1.23.12",
			reports: app},
		cell{name: "releases/toolchain-go-line", release: "go1.21.13", env: []string{"GOTOOLCHAIN=auto"},
			setup:   "go mod edit -go=1.22.12",
			build:   "go build -o app . && go version app | grep go1.22.12",
			reports: app},
		cell{name: "releases/GOTOOLCHAIN", env: []string{"GOTOOLCHAIN=go1.22.12"},
			build:   "go build -o app . && go version app | grep go1.22.12",
			reports: app},
	)
}

// flagCells returns the flags of the go command, on the command line and, where
// that takes them, in GOFLAGS, and what of its environment acts like a flag.
func flagCells() []cell {
	// Those in GOFLAGS come last, so that cells which run at the same time do
	// not compile the same.
	var list, goflagsList []cell
	// What compiles the standard library once more is more than a run of CI has
	// the time for, which builds with these flags in two combinations.
	long := map[string]bool{}
	for _, name := range strings.Fields("race gcflags-all gcflags-all/two-words gcflags-std asmflags-all tags-netgo pie " +
		"cover-coverpkg-std pgo pgo-off pgo-default a installsuffix GOEXPERIMENT GOAMD64") {
		long[name], long[name+"/GOFLAGS"] = true, true
	}
	add := func(c cell) {
		if !strings.HasPrefix(c.name, "combined/") {
			c.short = !long[c.name]
			c.name = "flags/" + c.name
		}
		if len(c.expectations()) == 0 {
			c.reports = app
		}
		list = append(list, c)
	}
	// both adds a cell for flags on the command line, written for the shell,
	// and one for them in GOFLAGS, written for that.
	both := func(name, flags, goflags string, c cell) {
		c.name, c.build = name, "go build "+flags+" -o app ."+c.build
		add(c)
		c.name = name + "/GOFLAGS"
		c.build = "go build -o app ." + strings.TrimPrefix(c.build, "go build "+flags+" -o app .")
		c.env = append(c.env[:len(c.env):len(c.env)], "GOFLAGS="+goflags)
		add(c)
		last := len(list) - 1
		list, goflagsList = list[:last], append(goflagsList, list[last])
	}
	both("trimpath", "-trimpath", "-trimpath", cell{build: " && go version -m app | grep -- -trimpath=true"})
	both("race", "-race", "-race", cell{needs: needsC})
	both("gcflags-all", "-gcflags='all=-N -l'", "'-gcflags=all=-N -l'", cell{})
	add(cell{name: "gcflags-all/two-words", build: `go build -gcflags "all=-N -l" -o app .`})
	both("gcflags-std", "-gcflags=std=-l", "-gcflags=std=-l", cell{})
	both("gcflags-pattern", "-gcflags=example.com/plain/...=-l", `"-gcflags=example.com/plain/...=-l"`, cell{})
	both("gcflags-main", "-gcflags=-l", "-gcflags=-l", cell{})
	both("asmflags-all", "-asmflags=all=-D=UNUSED", "-asmflags=all=-D=UNUSED", cell{})
	both("ldflags", `-ldflags "-s -w -X main.version=1"`, `"-ldflags=-s -w -X main.version=1"`, cell{works: "works 1 untagged"})
	both("ldflags-unquoted", "-ldflags=-X=main.version=1", "-ldflags=-X=main.version=1", cell{works: "works 1 untagged"})
	both("tags", "-tags extra,other", "-tags=extra,other", cell{works: "works dev tagged"})
	both("tags-netgo", "-tags=netgo,osusergo", "-tags=netgo,osusergo", cell{})
	both("pie", "-buildmode=pie", "-buildmode=pie", cell{})
	both("exe", "-buildmode exe", "-buildmode=exe", cell{})
	both("cover", "-cover", "-cover", cell{})
	both("cover-coverpkg", "-cover -coverpkg=./...", "-cover -coverpkg=./...", cell{})
	add(cell{name: "cover-coverpkg-std", build: "go build -cover -coverpkg=fmt,./... -o app ."})
	add(cell{name: "cover-atomic", build: "go build -cover -covermode=atomic -o app ."})

	const profile = `
		if [ ! -s "$KEPT/cpu.pprof" ]; then
			go build -o "$WORK/spin" ./cmd/worker && "$WORK/spin" "$WORK/cpu.pprof" && mv "$WORK/cpu.pprof" "$KEPT/cpu.pprof"
		fi
		`
	web := []string{"./web"}
	add(cell{name: "pgo", app: "two", setup: profile, build: `go build -pgo="$KEPT/cpu.pprof" -o web ./cmd/web`, reports: web})
	add(cell{name: "pgo/GOFLAGS", app: "two", setup: profile, env: []string{"GOFLAGS=-pgo=$KEPT/cpu.pprof"}, build: `go build -o web ./cmd/web`, reports: web})
	add(cell{name: "pgo-off", app: "two", setup: profile + `cp "$KEPT/cpu.pprof" cmd/web/default.pgo`, build: `go build -pgo=off -o web ./cmd/web`, reports: web})
	add(cell{name: "pgo-default", app: "two", setup: profile + `cp "$KEPT/cpu.pprof" cmd/web/default.pgo`,
		build: "go install ./cmd/... && go version -m $GOBIN/web | grep default.pgo", reports: []string{"$GOBIN/web", "$GOBIN/worker", "$GOBIN/gen"}})
	add(cell{name: "combined/pgo-default-trimpath", app: "two", setup: profile + `cp "$KEPT/cpu.pprof" cmd/web/default.pgo`,
		build: "go install -trimpath ./cmd/...", reports: []string{"$GOBIN/web", "$GOBIN/worker"}})

	add(cell{name: "a", build: "go build -a -o app ."})
	both("mod-vendor", "-mod=vendor", "-mod=vendor", cell{app: "versions", setup: "go mod vendor"})
	both("mod-mod", "-mod=mod", "-mod=mod", cell{})
	both("mod-readonly", "-mod=readonly", "-mod=readonly", cell{})
	both("modfile", "-modfile=other.mod", "-modfile=other.mod", cell{setup: "mv go.mod other.mod; echo module wrong >go.mod"})
	const other = `sed 's/"dev"/"overlaid"/' main.go >other.go.txt; `
	both("overlay", "-overlay=overlay.json", "-overlay=$APP/overlay.json", cell{works: "works overlaid",
		setup: other + `echo "{\"Replace\":{\"$APP/main.go\":\"$APP/other.go.txt\"}}" >overlay.json`})
	add(cell{name: "overlay-relative", build: "go build -overlay overlay.json -o app .", works: "works overlaid",
		setup: other + `echo '{"Replace":{"main.go":"other.go.txt"}}' >overlay.json`})
	add(cell{name: "combined/overlay-std", setup: `
		std=$(go list -f '{{.Dir}}' net/http); cat $std/status.go >status.txt; echo 'func init() { println("overlaid") }' >>status.txt
		echo "{\"Replace\":{\"$std/status.go\":\"$APP/status.txt\"}}" >overlay.json`,
		build: "go build -overlay=overlay.json -o app .", works: "(?s)overlaid.*works"})
	add(cell{name: "C", build: `cd "$WORK" && go build -C app -o app .`})
	add(cell{name: "C-and-relative", build: `cd "$WORK" && go build -C app/internal -modfile=../other.mod -o ../app ..`, setup: "cp go.mod other.mod"})
	both("p", "-p 1", "-p=1", cell{})
	add(cell{name: "o-dir", build: `mkdir out && go build -o out/ .`, reports: []string{"./out/plain"}})
	add(cell{name: "no-o", build: "go build", reports: []string{"./plain"}})
	both("v-x", "-v", "-v", cell{})
	add(cell{name: "x", build: "go build -x -o app ."})
	add(cell{name: "n", build: "go build -n . >/dev/null 2>&1; go build -o app ."})
	add(cell{name: "work", build: "go build -work -o app ."})
	add(cell{name: "json", build: "go build -json -o app ."})
	add(cell{name: "buildvcs", build: "go build -buildvcs=false -o app ."})
	add(cell{name: "double-dash", build: "go build --trimpath --ldflags=-s -o=app ."})
	add(cell{name: "installsuffix", build: "go build -installsuffix=other -o app ."})
	add(cell{name: "msan", build: "CC=clang go build -msan -o app .", needs: needsClang})
	add(cell{name: "asan", build: "go build -asan -o app .", needs: needsASan})

	add(cell{name: "GOEXPERIMENT", env: []string{"GOEXPERIMENT=arenas"}, build: "go build -o app . && go version -m app | grep arenas"})
	add(cell{name: "GOAMD64", env: []string{"GOAMD64=v3"}, build: "go build -o app . && go version -m app | grep GOAMD64=v3", needs: needsV3})
	add(cell{name: "CGO_ENABLED", env: []string{"CGO_ENABLED=0"}, build: "go build -o app . && go version -m app | grep CGO_ENABLED=0"})
	add(cell{name: "CGO_CFLAGS", app: "cgo", env: []string{"CGO_CFLAGS=-O1 -g"}, build: "go build -o app .", needs: needsC})
	add(cell{name: "cgo", app: "cgo", build: "go build -o app .", needs: needsC})
	add(cell{name: "combined/cgo-trimpath-race", app: "cgo", build: "go build -trimpath -race -o app .", needs: needsC})
	add(cell{name: "c++", app: "cpp", build: "go build -o app .", needs: needsCPP})
	add(cell{name: "external-linker", app: "cgo", build: "go build -ldflags='-linkmode=external -extldflags=-static-libgcc' -o app .", needs: needsC})
	add(cell{name: "GOARCH-arm64", env: []string{"GOARCH=arm64"}, build: "go build -o app .", holds: app})
	add(cell{name: "GO111MODULE", env: []string{"GO111MODULE=on"}, build: "go build -o app ."})
	add(cell{name: "GOWORK-off", env: []string{"GOWORK=off"}, build: "go build -o app ."})
	add(cell{name: "combined/race-and-more", works: "works 1 tagged", needs: needsC, short: true, build: `go build -race -trimpath -a \
		-gcflags=all=-l -asmflags=all=-D=UNUSED -installsuffix=other -tags=netgo,extra -ldflags "-s -w -X main.version=1" \
		-cover -coverpkg=fmt,./... -o app .`})
	add(cell{name: "combined/pie-and-more", app: "two", setup: profile, env: []string{"GOEXPERIMENT=arenas", "GOAMD64=v3"}, needs: needsV3, short: true,
		build: `go build -buildmode=pie -pgo="$KEPT/cpu.pprof" -gcflags=std=-l -o web ./cmd/web`, reports: web})
	add(cell{name: "combined/many", env: []string{`GOFLAGS='-ldflags=-s -w' -trimpath "-tags=extra"`}, works: "works dev tagged",
		build: `go build -race -gcflags="all=-l" -cover -o app .`, needs: needsC})
	return append(list, goflagsList...)
}

func commandCells() []cell {
	bin := func(names ...string) []string {
		for i, name := range names {
			names[i] = "$GOBIN/" + name
		}
		return names
	}
	return []cell{
		{name: "commands/build-files", build: "go build -o app main.go notag.go", reports: app},
		{name: "commands/build-import-path", build: "go build -o app example.com/plain", reports: app},
		{name: "commands/build-all", build: "go build ./... && go build -o app .", reports: app},
		{name: "commands/build-many-o", app: "two", build: "mkdir out && go build -o out ./cmd/...", reports: []string{"./out/web", "./out/worker"}},
		{name: "commands/install", build: "go install .", reports: bin("plain"), short: true},
		{name: "commands/run", build: "true", reports: []string{"go run ."}},
		{name: "commands/run-files", build: "go build -race -o $WORK/warm main.go notag.go", reports: []string{"go run -race main.go notag.go"}, needs: needsC},
		{name: "commands/run-path", app: "two", build: "true", reports: []string{"go run ./cmd/web -x"}},
		{name: "commands/test-cover", build: "go test -coverpkg=./... -coverprofile=$WORK/cover.out ./... && go build -o app .", reports: app},
		{name: "commands/vet", build: "go vet ./... && go build -o app .", reports: app},
		{name: "commands/list-export", build: "go list -export -deps -f '{{.Export}}' ./... >/dev/null && go build -o app .", reports: app},
		{name: "commands/generate", app: "generate", build: "go generate && go build -o app .", reports: app},
		{name: "commands/run-version", build: "go run github.com/rogpeppe/go-internal/cmd/txtar-x@v1.11.0 </dev/null && go build -o app .", reports: app},
		{name: "commands/tool", setup: "go get -tool github.com/rogpeppe/go-internal/cmd/txtar-x@v1.11.0",
			build: `go tool txtar-x </dev/null && cp "$(go tool -n txtar-x)" tool && go build -o app .`, reports: app, without: []string{"./tool"}},
		{name: "commands/again", build: `
			go build -o app . && cp app before
			HMETRICS_INJECT=off GOFLAGS= go build -o plain .
			# usage: fastest COMMAND... prints the least of 7 durations in ms
			fastest() {
				for _ in 1 2 3 4 5 6 7; do
					local start=${EPOCHREALTIME/[.,]/}
					"$@" && echo $(((${EPOCHREALTIME/[.,]/} - start) / 1000))
				done | sort -n | head -n 1
			}
			plain() { GOFLAGS= go build -v -o plain .; }
			plain=$(fastest plain)
			injected=$(fastest go build -v -o app .)
			cmp app before
			echo "note: with nothing to do $injected ms, without the buildpack $plain ms"
			((injected <= plain * 3 / 2 + 100))`, reports: app, short: true},
		{name: "commands/one-change", build: `go build -o app . && sed -i 's/"dev"/"changed"/' main.go && go build -o app .`, works: "works changed", reports: app},
		{name: "commands/two-at-once", app: "two", env: []string{"GOCACHE=$WORK/gocache"},
			build: `go build -o web ./cmd/web & first=$!; go build -o worker ./cmd/worker; wait $first
				go clean -cache && go build -o again ./cmd/web && cmp web again`, reports: []string{"./web", "./worker", "./again"}},
	}
}

func layoutCells() []cell {
	const sameElsewhere = `
		mkdir "$WORK/elsewhere" && cp -R . "$WORK/elsewhere" && (cd "$WORK/elsewhere" && GOCACHE="$WORK/gocache" go build -trimpath -o app .) &&
		go build -trimpath -o app . && cmp app "$WORK/elsewhere/app"`
	return []cell{
		{name: "layouts/cmd", app: "two", build: "go install ./...", reports: []string{"$GOBIN/web", "$GOBIN/worker", "$GOBIN/gen"}, short: true},
		{name: "layouts/ignored-files", app: "shapes", build: "go vet ./... && go build -o app .", reports: app},
		{name: "layouts/ignored-file-by-name", app: "shapes", build: "go build -o generate generate.go && ./generate && go run generate.go", holds: []string{"./generate"}},
		{name: "layouts/embed-generics", app: "shapes", build: "go build -trimpath -o app .", reports: app},
		{name: "layouts/embed-generics-" + oldest, app: "shapes", release: oldest, build: "go build -o app .", reports: app},
		{name: "layouts/assembly", app: "asm", build: "go build -o app .", reports: app},
		{name: "layouts/assembly-trimpath", app: "asm", build: "go build -trimpath -o app .", reports: app},
		{name: "layouts/workspace", app: "workspace", build: "go build -o main ./app", reports: []string{"./main"}},
		{name: "layouts/workspace-module", app: "workspace", build: "cd app && go build -o ../main .", reports: []string{"./main"}},
		// go work vendor came with Go 1.22. It wants a module from elsewhere.
		{name: "layouts/workspace-vendor", app: "workspace", setup: `
			go work edit -go=1.22
			(cd library && go mod edit -go=1.22)
			cd app
			go mod edit -go=1.22 -droprequire=example.com/work/library -require=github.com/kelseyhightower/envconfig@v1.4.0
			cp "$BUILDPACK/go.sum" .
			printf 'package main\n\nimport _ "github.com/kelseyhightower/envconfig"\n' >import.go
			cd .. && go work vendor`,
			build: "go build -mod=vendor -o main ./app && go build -o main2 ./app", reports: []string{"./main", "./main2"}},
		{name: "layouts/nested", app: "workspace", build: "cd app/nested && GOWORK=off go build -o ../../main .", reports: []string{"./main"}},
		{name: "layouts/vendor-with-sum", app: "versions", setup: "go mod vendor", build: "go build -o app .", reports: app},
		{name: "layouts/vendor-without-sum", app: "replaced", setup: "go mod vendor && [ ! -e go.sum ]", build: "go build -o app .", reports: app},
		{name: "layouts/vendor-sum-removed", app: "versions", setup: "go mod vendor && rm go.sum", build: "go build -mod=vendor -o app .", reports: app},
		{name: "layouts/replaced", app: "replaced", build: "go build -o app .", reports: app},
		{name: "layouts/major-version", setup: "go mod edit -module=example.com/plain/v2 && sed -i s:example.com/plain/:example.com/plain/v2/: main.go",
			build: "go install .", reports: []string{"$GOBIN/plain"}},
		{name: "layouts/capital-letters", setup: "go mod edit -module=Example.com/MyOrg/Plain && sed -i s:example.com/plain/:Example.com/MyOrg/Plain/: main.go",
			build: "go build -o app .", reports: app},
		{name: "layouts/no-dot-in-module", setup: "go mod edit -module=plain && sed -i s:example.com/plain/:plain/: main.go", build: "go build -o app .", reports: app},
		{name: "layouts/quoted-module", setup: `sed -i 's:^module .*:module "example.com/plain" // it is:' go.mod`, build: "go build -o app .", reports: app},
		{name: "layouts/dot-directory", app: "shapes", build: "go install ./... && ls $GOBIN | diff - <(echo shapes)", reports: []string{"$GOBIN/shapes"}},
		{name: "layouts/symlinked", build: `ln -s app "$WORK/link" && cd "$WORK/link" && go build -o app .`, reports: app},
		{name: "layouts/symlinked-trimpath", build: `ln -s app "$WORK/link" && cd "$WORK/link" && PWD="$WORK/link" go build -trimpath -o app .`, reports: app},
		{name: "layouts/symlinked-default-pgo", app: "two", setup: `go build -o "$WORK/spin" ./cmd/worker; [ -s "$KEPT/cpu.pprof" ] || "$WORK/spin" "$KEPT/cpu.pprof"; cp "$KEPT/cpu.pprof" cmd/web/default.pgo`,
			build: `ln -s app "$WORK/link" && cd "$WORK/link" && go build -trimpath -o web ./cmd/web`, reports: []string{"./web"}},
		{name: "layouts/spaces", build: `mv "$APP" "$WORK/my app" && cd "$WORK/my app" && go build -o "$WORK/plain" . && mkdir "$APP"`, reports: []string{"$WORK/plain"}},
		{name: "layouts/same-bytes", build: sameElsewhere, reports: app, short: true},
		{name: "layouts/read-only-modcache", app: "versions", needs: needsMount,
			setup:   `export GOMODCACHE="$WORK/modcache"; go mod download && cd "$BUILDPACK" && go mod download`,
			build:   `export GOMODCACHE="$WORK/modcache"; unshare -m bash -euc 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && go build -o app .' - "$GOMODCACHE"`,
			reports: app},
		{name: "layouts/read-only-modcache-empty", needs: needsMount,
			build: `export GOMODCACHE="$WORK/modcache" HMETRICS_STAGE_WAS="$HMETRICS_STAGE"; mkdir "$GOMODCACHE"
				cp -R "$HMETRICS_STAGE" "$WORK/stage" && rm -rf "$WORK/stage/shaded" "$WORK/stage/listings" && export HMETRICS_STAGE="$WORK/stage"
				unshare -m bash -euc 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && go build -o app .' - "$GOMODCACHE"`,
			absent: app, says: "^hmetrics: the metrics agent is not linked into example.com/plain: fetching the agent's modules: "},
	}
}

func nameCells() []cell {
	const byhand = `go mod edit -replace=github.com/hmetrics/heroku-buildpack-go-metrics="$BUILDPACK" && cp "$BUILDPACK/go.sum" . && go mod edit -require=github.com/hashicorp/go-retryablehttp@v0.7.7 -require=github.com/kelseyhightower/envconfig@v1.4.0 -require=github.com/hashicorp/go-cleanhttp@v0.5.2`
	settingOff := func(reporter string) string {
		return "go build -o app . && go version -m app | grep hmetrics.off=" + reporter
	}
	return []cell{
		{name: "names/packages-variables-inits", app: "names", build: "go build -o app .", reports: app, short: true},
		{name: "names/module-like-ours", app: "likeours", build: "go build -o app .", reports: app, otlpOff: true},
		{name: "names/libraries-replaced", app: "forks", build: "go build -o app .", reports: app},
		{name: "names/libraries-replaced-vendored", app: "forks", setup: "go mod vendor", build: "go build -mod=vendor -o app .", reports: app},
		{name: "names/agent-by-hand", app: "byhand", setup: byhand, build: settingOff("github.com/hmetrics/heroku-buildpack-go-metrics/agent"), reports: app},
		{name: "names/opentelemetry", app: "otel", setup: "go get go.opentelemetry.io/contrib/instrumentation/runtime@v0.72.0",
			build: "go build -o app . && go version -m app | grep hmetrics.off.otlp=go.opentelemetry.io/contrib/instrumentation/runtime", reports: app, otlpOff: true},
		{name: "names/pennock", app: "pennock", build: settingOff("go.pennock.tech/hmetrics"), off: app},
	}
}

// limitCells returns what the README lists as limits: where the agent is not
// linked, and that nothing else is different there.
func limitCells() []cell {
	list := []cell{
		{name: "go1.17", release: "go1.17.13", absent: app,
			// The second build is one where a newer go command has built the injector.
			build: `go build -o app . && "$LOCALGO" build -o new . && go build -ldflags=-s -o app . && ! HMETRICS_INJECT=require go build -ldflags=-w -o required .`,
			says: `\A(hmetrics: the metrics agent is not linked into example.com/plain: go1.17.13 is too old, Go 1.18 is the oldest that works: .*\n){2}` +
				`hmetrics: HMETRICS_INJECT is require, .* go1.17.13 is too old, .*\z`},
		{name: "tests", build: "go test ./... && go test -race . && go test -c -o app.test .", without: []string{"./app.test"}, needs: needsC},
		{name: "module-cache", build: `go install github.com/rogpeppe/go-internal/cmd/txtar-x@v1.11.0 && cp $GOBIN/txtar-x txtar-x && ./txtar-x </dev/null
				GOMODCACHE=$GOMODCACHE/../mod// go install -ldflags=-s github.com/rogpeppe/go-internal/cmd/txtar-x@v1.11.0
				go install .`,
			reports: []string{"$GOBIN/plain"}, without: []string{"./txtar-x", "$GOBIN/txtar-x"}},
		{name: "vendored", app: "replaced",
			setup: `printf '//go:build tools\n\npackage main\n\nimport _ "example.com/library/cmd/tool"\n' >tools.go; go mod vendor`,
			build: "go build -o tool ./vendor/example.com/library/cmd/tool; go build -o tool2 example.com/library/cmd/tool; go build -o app .", absent: []string{"./tool", "./tool2"}, reports: app},
		{name: "c-shared", app: "cgo", build: "go build -buildmode=c-shared -o app.so .", without: []string{"./app.so"}, says: "into example.com/\\w+: -buildmode is c-shared$", needs: needsC},
		{name: "c-archive", app: "cgo", build: "go build -buildmode=c-archive -o app.a .", without: []string{"./app.a"}, says: "into example.com/\\w+: -buildmode is c-archive$", needs: needsC},
		{name: "plugin", app: "tiny", build: "go build -buildmode=plugin -o app.so .", without: []string{"./app.so"}, says: "into example.com/\\w+: -buildmode is plugin$", needs: needsC},
		{name: "linkshared", build: "go build -linkshared -o app .", absent: app, needs: needsC,
			says: "^hmetrics: the metrics agent is not linked into example.com/plain: -linkshared takes [^\n]*$"},
		// It takes the place of the one in GOFLAGS, so nothing of the buildpack
		// is called that could say so.
		{name: "toolexec-on-command-line", build: `go build -toolexec=env -o app .`, absent: app},
		// go tool takes no -toolexec: a program that only it builds stays as it is.
		{name: "go-tool", app: "two", setup: "go mod edit -tool=example.com/two/cmd/internal/tools/gen",
			build: `cp "$(go tool -n gen)" tool && go install ./cmd/internal/tools/gen`, absent: []string{"go tool gen", "./tool"}, reports: []string{"$GOBIN/gen"}},
		{name: "module-named-as-the-agent", app: "shaded", build: "go build -o app .", absent: app,
			says: "^hmetrics: the metrics agent is not linked into hmetrics.injected: the app has a package hmetrics.injected/(agent/onload|hook), [^\n]*$"},
	}
	for _, target := range []string{"darwin/arm64", "windows/amd64", "js/wasm", "wasip1/wasm"} {
		goos, goarch, _ := strings.Cut(target, "/")
		list = append(list, cell{name: goos, app: "tiny", env: []string{"GOOS=" + goos, "GOARCH=" + goarch}, build: "go build -o app .", without: app, says: "into example.com/tiny: GOOS is " + goos + "$"})
	}
	for i := range list {
		list[i].name, list[i].short = "limits/"+list[i].name, true
	}
	return list
}
