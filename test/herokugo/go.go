package herokugo

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Go does to an app what the official heroku/go buildpack does: the same go
// commands and hooks with the same environment, the same files in the app and in
// the cache, the same log but for the words of its warnings.
//
// It downloads no Go: whatever release the app asks for, Root builds it. It does
// not touch the user's git configuration for GO_GIT_CRED_ config vars, it writes
// no build report, and it knows no dependency managers but modules.
type Go struct {
	// Root is the GOROOT of the Go to use. In the cache, where heroku/go
	// unpacks the Go that it downloads, a symbolic link leads to it.
	Root string
	// Installed are the names of the files in the app's bin directory that
	// the last Compile added or changed.
	Installed []string
}

// configVars are the config vars that replace what the environment has. No other
// reaches the build.
var configVars = strings.Fields(`CGO_CFLAGS CGO_CPPFLAGS CGO_CXXFLAGS CGO_LDFLAGS GO_LINKER_SYMBOL GO_LINKER_VALUE
	GOFLAGS GOPROXY GOPRIVATE GONOPROXY GOVERSION GO_INSTALL_PACKAGE_SPEC GO_INSTALL_TOOLS_IN_IMAGE
	GO_SETUP_GOPATH_FOR_MODULE_CACHE GO_TEST_SKIP_BENCHMARK`)

// Detect wants a go.mod in the app's root.
func (g *Go) Detect(_ context.Context, b *Build) (string, error) {
	if info, err := os.Stat(filepath.Join(b.App, "go.mod")); err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("app not compatible with heroku/go: there is no go.mod in %s", b.App)
	}
	return "Go", nil
}

// Compile builds the app's main packages into its bin directory.
func (g *Go) Compile(ctx context.Context, b *Build) error {
	c := goBuild{Build: *b, ctx: ctx, root: g.Root, cache: filepath.Join(b.Cache, ".heroku", "go")}
	err := c.compile()
	g.Installed = c.installed
	if err != nil {
		return fmt.Errorf("heroku/go: %w", err)
	}
	return nil
}

// A goBuild is one Compile. Its Environ is its own: heroku/go exports nothing to
// the buildpacks that follow.
type goBuild struct {
	Build
	ctx       context.Context
	root      string
	cache     string // CACHE_DIR/.heroku/go
	flags     []string
	installed []string
}

func (c *goBuild) compile() error {
	bin := filepath.Join(c.App, "bin")
	before, err := digests(bin)
	if err != nil {
		return err
	}
	mod, err := c.configure(bin)
	if err != nil {
		return err
	}
	pkgs, err := c.packages(mod)
	if err != nil {
		return err
	}
	c.Environ = unsetenv(c.Environ, "GIT_DIR") // it would mislead go install
	if err := c.hook("go-pre-compile"); err != nil {
		return err
	}
	if err := c.install(pkgs); err != nil {
		return err
	}
	if err := c.hook("go-post-compile"); err != nil {
		return err
	}

	after, err := digests(bin)
	if err != nil {
		return err
	}
	c.step("Installed the following binaries:")
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if sum, ok := before[name]; !ok || sum != after[name] {
			c.installed = append(c.installed, name)
			c.detail("./bin/" + name)
		}
	}
	if err := c.procfile(); err != nil {
		return err
	}
	return c.finish(mod)
}

// configure reads go.mod and the config vars, and prepares Go, the environment and
// flags of go commands, and the directory bin.
func (c *goBuild) configure(bin string) (goMod, error) {
	if err := os.MkdirAll(c.cache, 0o777); err != nil {
		return goMod{}, err
	}
	if err := c.loadConfigVars(); err != nil {
		return goMod{}, err
	}
	mod, err := readGoMod(filepath.Join(c.App, "go.mod"))
	if err != nil {
		return mod, err
	}
	c.step("Detected go modules via go.mod")
	c.step("Detected Module Name: " + mod.name)
	asked := c.get("GOVERSION")
	if asked != "" {
		c.warn("GOVERSION is set to " + asked + ", whatever go.mod says.")
		asked = release(asked)
	} else if asked = mod.version; asked == "" {
		c.warn("go.mod names no Go version.")
	}

	c.flags = []string{"-tags", "heroku"}
	if symbol, value := c.get("GO_LINKER_SYMBOL"), c.get("GO_LINKER_VALUE"); symbol != "" && value != "" {
		c.flags = append(c.flags, "-ldflags", "-X "+symbol+"="+value)
	}
	if err := c.ensureGo(asked); err != nil {
		return mod, err
	}
	gopath := filepath.Join(c.cache, "go-path")
	if c.get("GO_SETUP_GOPATH_FOR_MODULE_CACHE") == "true" {
		gopath = filepath.Join(c.App, ".heroku", "go-path")
		if err := os.MkdirAll(gopath, 0o777); err != nil {
			return mod, err
		}
	}
	c.set("GOBIN", bin)
	c.set("GOPATH", gopath)
	if isDir(filepath.Join(c.App, "vendor")) && isNotEmpty(filepath.Join(c.App, "go.sum")) {
		c.flags = append(c.flags, "-mod=vendor")
	}
	return mod, os.MkdirAll(bin, 0o777)
}

// loadConfigVars puts the config vars that heroku/go knows into the environment.
func (c *goBuild) loadConfigVars() error {
	// The commit is the linker's value unless a config var is.
	if _, ok := Getenv(c.Environ, "GO_LINKER_VALUE"); ok {
		c.set("GO_LINKER_VALUE", c.get("SOURCE_VERSION"))
	}
	if err := os.MkdirAll(c.Env, 0o777); err != nil {
		return err
	}
	for _, key := range configVars {
		file := filepath.Join(c.Env, key)
		if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
		for i := range lines {
			lines[i] = strings.Replace(lines[i], "${build_dir}", c.App, 1)
		}
		c.set(key, strings.Join(lines, "\n"))
	}
	return nil
}

// ensureGo puts Go into the cache and in front of the PATH.
func (c *goBuild) ensureGo(asked string) error {
	version, err := goVersion(c.root)
	if err != nil {
		return err
	}
	goroot := filepath.Join(c.cache, version, "go")
	fresh := !isDir(goroot)
	if fresh {
		c.step("New Go Version, clearing old cache")
		old, err := filepath.Glob(filepath.Join(c.cache, "[^.]*"))
		if err != nil {
			return err
		}
		for _, path := range old {
			if err := RemoveAll(path); err != nil {
				return err
			}
		}
		c.step("Installing " + version)
	} else {
		c.step("Using " + version)
	}
	if asked != "" && asked != version && !strings.HasPrefix(version, asked+".") {
		c.detail("The app asks for " + asked + "; the Go of this machine builds it.")
	}
	// Another GOROOT of the same release takes the place of the last one.
	if err := os.MkdirAll(filepath.Dir(goroot), 0o777); err != nil {
		return err
	}
	if err := os.Remove(goroot); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(c.root, goroot); err != nil {
		return err
	}
	c.set("GOROOT", goroot)
	c.set("PATH", filepath.Join(goroot, "bin")+":"+c.get("PATH"))

	// heroku/go asks this very question, so that it can serve a Go without a
	// build cache. Here it shows that Root is a Go that runs.
	// It does so before it goes to the app's directory.
	env, err := c.output("/", c.Stderr, "go", "env")
	if err != nil {
		return err
	}
	if strings.Contains("\n"+env, "\nGOCACHE=") {
		c.set("GOCACHE", filepath.Join(c.cache, "go-build-cache"))
	}
	return nil
}

// packages returns what is to be installed, as one shell word list.
func (c *goBuild) packages(mod goMod) (string, error) {
	c.step("Determining packages to install")
	spec := c.get("GO_INSTALL_PACKAGE_SPEC")
	pkgs := spec
	if pkgs == "" {
		pkgs = mod.install
	}
	if pkgs == "" {
		var err error
		if pkgs, err = c.mainPackages(); err != nil {
			return "", err
		}
		if pkgs == "" {
			c.warn("The module "+mod.name+" has no main package.", "Installing '.' instead.")
			pkgs = "."
		} else {
			c.step("Detected the following main packages to install:")
			for _, pkg := range strings.Fields(pkgs) {
				c.detail(pkg)
			}
		}
	}
	if spec != "" {
		c.warn("GO_INSTALL_PACKAGE_SPEC is set to " + spec + ", whatever go.mod says.")
	}
	return pkgs, nil
}

func (c *goBuild) mainPackages() (string, error) {
	args := append([]string{"list", "-find"}, c.flags...)
	args = append(args, "-f", `{{ if eq .Name "main" }} {{.ImportPath}} {{ end }}`, "./...")
	out, err := c.output(c.App, indent(c.Stderr), "go", args...)
	return strings.TrimRight(out, "\n"), err
}

func (c *goBuild) hook(name string) error {
	file := filepath.Join(c.App, "bin", name)
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	c.step("Running bin/" + name + " hook")
	if err := os.Chmod(file, info.Mode().Perm()|0o111); err != nil {
		return err
	}
	// A shell, because a hook need not name its interpreter.
	return c.command(indent(c.Stdout), "bash", "-c", "bin/"+name)
}

func (c *goBuild) install(pkgs string) error {
	c.step("Running: go install -v " + strings.Join(c.flags, " ") + " " + pkgs)
	// A shell, because what a user asks for may be patterns of file names.
	args := append([]string{"-c", `pkgs=$0; exec go install -v "$@" $pkgs`, pkgs}, c.flags...)
	return c.command(indent(c.Stdout), "bash", args...)
}

// procfile makes a Procfile for an app that has none.
func (c *goBuild) procfile() error {
	file := filepath.Join(c.App, "Procfile")
	if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
		return nil
	}
	list, err := c.mainPackages()
	if err != nil {
		return err
	}
	pkgs := strings.Fields(list)
	if len(pkgs) == 0 {
		return nil
	}
	c.step("Created a Procfile with the following entries:")
	var entries strings.Builder
	for _, pkg := range pkgs {
		name := path.Base(pkg)
		process := name
		if len(pkgs) == 1 {
			process = "web"
		}
		fmt.Fprintf(&entries, "%s: bin/%s\n", process, name)
	}
	io.WriteString(indent(c.Stdout), entries.String())
	remark(c.Stderr, blue, "If these are not the app's processes, write a Procfile:", "https://devcenter.heroku.com/articles/procfile")
	return os.WriteFile(file, []byte(entries.String()), 0o666)
}

// finish leaves what the app needs in its dyno, and the note of what was built.
func (c *goBuild) finish(mod goMod) error {
	files := map[string]string{
		".profile.d/go.sh": "PATH=$PATH:$HOME/bin\n",
		".heroku/go/.meta": "TOOL=gomodules\nNAME=" + mod.name + "\n",
	}
	if c.get("GO_INSTALL_TOOLS_IN_IMAGE") == "true" {
		c.step("Copying go tool chain to $GOROOT=$HOME/.heroku/go")
		if err := c.command(c.Stdout, "bash", "-c", `mkdir -p .heroku/go && cp -a "$GOROOT"/* .heroku/go`); err != nil {
			return err
		}
		files[".profile.d/goroot.sh"] = "export GOROOT=$HOME/.heroku/go\nPATH=$PATH:$GOROOT/bin\n"
	}
	for name, content := range files {
		file := filepath.Join(c.App, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
			return err
		}
	}
	return nil
}

// command runs a program in the app's directory, its output to log.
func (c *goBuild) command(log io.Writer, name string, args ...string) error {
	return c.run(c.App, log, log, name, args...)
}

// output runs a program in dir and returns its standard output.
func (c *goBuild) output(dir string, stderr io.Writer, name string, args ...string) (string, error) {
	var out bytes.Buffer
	err := c.run(dir, &out, stderr, name, args...)
	return out.String(), err
}

func (c *goBuild) run(dir string, stdout, stderr io.Writer, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	if name == "go" {
		cmd = exec.Command(filepath.Join(c.get("GOROOT"), "bin", "go"), args...)
		cmd.Args[0] = "go"
	}
	cmd.Dir = dir
	cmd.Env = setenv(c.Environ, "PWD", dir)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := RunGroup(c.ctx, cmd); err != nil {
		return fmt.Errorf("running %s: %w", strings.Join(cmd.Args, " "), err)
	}
	return nil
}

func (c *goBuild) step(text string)      { step(c.Stdout, text) }
func (c *goBuild) detail(text string)    { fmt.Fprintln(indent(c.Stdout), text) }
func (c *goBuild) warn(lines ...string)  { remark(c.Stderr, yellow, lines...) }
func (c *goBuild) set(key, value string) { c.Environ = setenv(c.Environ, key, value) }
func (c *goBuild) get(key string) string { value, _ := Getenv(c.Environ, key); return value }

// A goMod is what heroku/go reads of a go.mod.
type goMod struct {
	name    string
	version string // such as go1.22, from "// +heroku goVersion" or the go line; empty if neither is there
	install string // from "// +heroku install"
}

func readGoMod(file string) (goMod, error) {
	f, err := os.Open(file)
	if err != nil {
		return goMod{}, err
	}
	defer f.Close()
	var mod goMod
	var named, installs bool
	var comment, directive string
	for s := bufio.NewScanner(f); s.Scan(); {
		line := s.Text()
		word := append(strings.Fields(line), "", "", "", "")
		switch {
		case word[0] == "module" && !named:
			named, mod.name = true, strings.ReplaceAll(word[1], `"`, "")
		case word[0] == "go" && directive == "":
			directive = word[1]
		case word[0] == "//" && word[1] == "+heroku" && word[2] == "goVersion" && comment == "":
			comment = word[3]
		case word[0] == "//" && word[1] == "+heroku" && word[2] == "install" && !installs:
			installs, mod.install = true, line[strings.Index(line, word[3]):]
		}
	}
	mod.version = comment
	if mod.version == "" {
		mod.version = directive
	}
	mod.version = release(mod.version)
	return mod, nil
}

// release returns the name of a Go release that may be given by its number.
func release(version string) string {
	if version != "" && version[0] >= '0' && version[0] <= '9' {
		return "go" + version
	}
	return version
}

// goVersion returns the release of the Go at root, such as go1.26.1.
func goVersion(root string) (string, error) {
	b, err := os.ReadFile(filepath.Join(root, "VERSION"))
	if err != nil {
		return "", fmt.Errorf("finding which release of Go is in the GOROOT %q: %w", root, err)
	}
	words := strings.Fields(string(b))
	if len(words) == 0 || !strings.HasPrefix(words[0], "go") {
		return "", fmt.Errorf("finding which release of Go is in the GOROOT %q: its file VERSION names no release", root)
	}
	return words[0], nil
}

// digests returns a hash of the content of each visible file in dir, by name.
func digests(dir string) (map[string][sha256.Size]byte, error) {
	files, err := filepath.Glob(filepath.Join(dir, "[^.]*"))
	if err != nil {
		return nil, err
	}
	sums := map[string][sha256.Size]byte{}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		sums[filepath.Base(file)] = sha256.Sum256(content)
	}
	return sums, nil
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

func isNotEmpty(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.Size() > 0
}
