package regexp

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

var texts = []string{
	"", "1", "stopped after 10 redirects", "Get: stopped after 7 redirects", "stopped after 10 redirects ", "stopped after  redirects",
	"stopped after ten redirects", "stopped after 1stopped after 22 redirects", "unsupported protocol scheme", `unsupported protocol scheme "x"`,
	"an unsupported protocol schem", "net/http: invalid header field name", "invalid heade", "x509: certificate is not trusted", "é", "a12b3", "12",
}

func agree(t *testing.T, expr, text string) {
	t.Helper()
	if got, want := MustCompile(expr).MatchString(text), regexp.MustCompile(expr).MatchString(text); got != want {
		t.Errorf("%s in %q: %v, want %v", expr, text, got, want)
	}
}

func TestSameAsTheStandardPackage(t *testing.T) {
	for _, expr := range []string{"", `\z`, `\d+`, `\d+\z`, `\d+2`, `\d+\d+`, `a\d+b`, "redirects", "é"} {
		for _, text := range texts {
			agree(t, expr, text)
		}
	}
}

// The modules give MatchString no expression that it would read otherwise than
// the standard package, and use the other methods for split_words alone.
func TestExpressionsOfTheModules(t *testing.T) {
	list := exec.Command(filepath.Join(runtime.GOROOT(), "bin", "go"), "list", "-deps", "-f",
		"{{if not .Standard}}{{if .Module.Version}}{{.ImportPath}} {{.Dir}}{{end}}{{end}}", "../../onload")
	list.Env = append(os.Environ(), "GOFLAGS=", "GOTOOLCHAIN=local")
	packages, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	matched := 0
	for _, line := range strings.Split(strings.TrimSpace(string(packages)), "\n") {
		path, dir, _ := strings.Cut(line, " ")
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no files: %v", line, err)
		}
		exprs := make(map[string]string) // by variable
		uses := make(map[string]string)  // variables by method
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(file, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.ValueSpec:
					for i, v := range n.Values {
						if call, ok := v.(*ast.CallExpr); ok && selector(call.Fun) == "regexp.MustCompile" {
							expr, err := strconv.Unquote(call.Args[0].(*ast.BasicLit).Value)
							if err != nil {
								t.Fatal(err)
							}
							exprs[n.Names[i].Name] = expr
						}
					}
				case *ast.CallExpr:
					if s := strings.SplitN(selector(n.Fun), ".", 2); len(s) == 2 {
						uses[s[1]] += " " + s[0]
					}
				}
				return true
			})
		}
		for _, name := range strings.Fields(uses["MatchString"]) {
			if exprs[name] == "" {
				t.Errorf("%s: no expression is found for %s", path, name)
			}
			for _, text := range texts {
				agree(t, exprs[name], text)
			}
			rest := strings.NewReplacer(`\d+`, "", `\z`, "").Replace(exprs[name])
			if regexp.QuoteMeta(rest) != rest {
				t.Errorf("%s: %s has more in it than \\d+ and \\z", path, exprs[name])
			}
			matched++
		}
		if others := uses["FindStringSubmatch"] + uses["FindAllStringSubmatch"]; others != "" && path != "github.com/kelseyhightower/envconfig" {
			t.Errorf("%s uses%s for more than whether there is a match", path, others)
		}
	}
	if matched == 0 {
		t.Error("no use of an expression is found in the modules")
	}

	config, err := os.ReadFile("../reporter/config.go")
	if err != nil || strings.Contains(string(config), "split_words") {
		t.Errorf("the agent's settings use split_words: %v", err)
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
