package onload

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

func TestExportsNothing(t *testing.T) {
	pkgs, err := parser.ParseDir(token.NewFileSet(), ".", func(f os.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, 0)
	if err != nil || len(pkgs["onload"].Files) == 0 {
		t.Fatal(pkgs, err)
	}
	if ast.PackageExports(pkgs["onload"]) {
		t.Error("package onload exports something")
	}
}
