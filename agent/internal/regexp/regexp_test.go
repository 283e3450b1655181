package regexp

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// sources returns the files of the packages that onload consists of, by import
// path, without those of the standard library.
func sources(t *testing.T) map[string][]string {
	list := exec.Command(filepath.Join(runtime.GOROOT(), "bin", "go"), "list", "-deps", "-f",
		"{{if not .Standard}}{{$d := .Dir}}{{$p := .ImportPath}}{{range .GoFiles}}{{$p}} {{$d}}/{{.}}\n{{end}}{{end}}", "../../onload")
	list.Env = append(os.Environ(), "GOFLAGS=", "GOTOOLCHAIN=local")
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]string{}
	for _, line := range strings.Fields(strings.ReplaceAll(string(out), " ", "\x00")) {
		path, file, _ := strings.Cut(line, "\x00")
		files[path] = append(files[path], file)
	}
	return files
}

// Nothing that the agent calls matches a pattern: the modules do so only in functions that the
// agent does not reach.
func TestNothingAsksForAMatch(t *testing.T) {
	const module = "github.com/hmetrics/heroku-buildpack-go-metrics/"
	reached := map[string]bool{} // functions of modules that use an expression
	for path, files := range sources(t) {
		for _, name := range files {
			if strings.HasPrefix(path, module) {
				text, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				for _, no := range []string{"RetryPolicy", "split_words", `"regexp"`, "retryablehttp.NewClient"} {
					if strings.Contains(string(text), no) {
						t.Errorf("%s has %s in it", name, no)
					}
				}
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			expressions := map[string]bool{} // by variable
			for _, d := range file.Decls {
				ast.Inspect(d, func(n ast.Node) bool {
					switch n := n.(type) {
					case *ast.ValueSpec:
						for i, v := range n.Values {
							if call, ok := v.(*ast.CallExpr); ok && selector(call.Fun) == "regexp.MustCompile" {
								expressions[n.Names[i].Name] = true
							}
						}
					case *ast.Ident:
						if f, ok := d.(*ast.FuncDecl); ok && expressions[n.Name] {
							reached[f.Name.Name] = true
						}
					}
					return true
				})
			}
		}
	}
	// baseRetryPolicy is called by those with RetryPolicy in their names.
	if len(reached) != 2 || !reached["baseRetryPolicy"] || !reached["gatherInfo"] {
		t.Errorf("expressions are used in %v", reached)
	}
}

// selector returns "x.f" for that expression, or "".
func selector(e ast.Expr) string {
	if s, ok := e.(*ast.SelectorExpr); ok {
		if x, ok := s.X.(*ast.Ident); ok {
			return x.Name + "." + s.Sel.Name
		}
	}
	return ""
}
