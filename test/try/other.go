//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprint(os.Stderr, `try: the buildpack builds for Linux, and so does this: run it in a container. In this directory, type

	docker run --rm -it -p 8080:8080 -v "$PWD":/src -v ~/my/app:/app -w /src golang go run ./test/try -page :8080 /app

with the path of your app in place of ~/my/app, and open http://localhost:8080/.
In PowerShell, ${PWD} takes the place of "$PWD".
`)
	os.Exit(1)
}
