package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
)

func init() { commands["verify"] = func(args []string) error { return verify(args, os.Stdout) } }

const verifyUsage = `usage: inject verify [-json] BINARY…

Tells of each binary whether the buildpack has linked the metrics agent into it.
The exit status is 0 if all of them report through the agent, 1 if not, and 2 if
the command line is wrong.

	inject verify bin/web bin/worker
`

// A verdict is what can be said about a binary.
type verdict struct {
	Binary    string            `json:"binary"`
	Linked    bool              `json:"linked"`              // the buildpack linked the agent
	Reports   bool              `json:"reports"`             // and it reports to Heroku
	Version   string            `json:"version,omitempty"`   // of the buildpack
	Injection string            `json:"injection,omitempty"` // the injection ID
	Off       string            `json:"off,omitempty"`       // the package that reports to Heroku in the agent's place
	OTLPOff   string            `json:"otlp_off,omitempty"`  // the package that reports by OTLP in the agent's place
	Reporter  string            `json:"reporter,omitempty"`  // without the agent: a package that reports to Heroku
	Modules   map[string]string `json:"modules,omitempty"`   // versions of the third-party code inside the agent
	Problem   string            `json:"problem,omitempty"`   // why nothing can be said
}

// verify says for each binary whether the agent is linked. It fails unless every
// one reports.
func verify(args []string, w io.Writer) error {
	flags := flag.NewFlagSet("inject verify", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	asJSON := flags.Bool("json", false, "")
	version := flags.Bool("version", false, "")
	var names []string
	for len(args) > 0 {
		switch err := flags.Parse(args); {
		case err == flag.ErrHelp:
			fmt.Fprint(w, verifyUsage)
			return nil
		case err != nil:
			return usageError(fmt.Sprintf("inject verify: %v\n%s", err, verifyUsage))
		}
		// A flag may come after a name too.
		if args = flags.Args(); len(args) > 0 {
			names, args = append(names, args[0]), args[1:]
		}
	}
	if *version {
		info, _ := debug.ReadBuildInfo()
		fmt.Fprintln(w, info.Main.Version)
		return nil
	}
	if len(names) == 0 {
		return usageError(verifyUsage)
	}
	var verdicts []verdict
	reporting := 0
	for _, name := range names {
		v := inspect(name)
		verdicts = append(verdicts, v)
		if v.Reports {
			reporting++
		}
	}
	if *asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		if err := enc.Encode(verdicts); err != nil {
			return err
		}
	} else {
		for _, v := range verdicts {
			fmt.Fprintln(w, v)
		}
	}
	if reporting < len(names) {
		return fmt.Errorf("%d of %d binaries report through the agent", reporting, len(names))
	}
	return nil
}

// inspect reads what link wrote into the binary's build information. Stripping
// leaves that in place; a packer does not.
func inspect(name string) verdict {
	v := verdict{Binary: name}
	switch file, err := os.Stat(name); {
	case os.IsNotExist(err):
		v.Problem = "there is no such file"
		return v
	case err == nil && !file.Mode().IsRegular():
		v.Problem = "it is no regular file"
		return v
	}
	info, err := buildinfo.ReadFile(name)
	if err != nil {
		v.Problem = "it has no Go build information: it is no Go program, or it was packed"
		return v
	}
	v.Injection = setting(info, injectionSetting)
	if v.Injection == "" {
		for _, path := range destinations[0].reporters {
			if found, _ := holds(name, path+"."); found && v.Reporter == "" {
				v.Reporter = path
			}
		}
		return v
	}
	// The build information is a claim. The agent's functions are the thing.
	switch found, err := holds(name, shadedOnload); {
	case err != nil:
		v.Problem = err.Error()
		return v
	case !found:
		v.Problem = "its build information claims the agent, but the agent is not in it"
		return v
	}
	v.Off, v.OTLPOff = setting(info, destinations[0].setting), setting(info, destinations[1].setting)
	v.Linked, v.Reports = true, v.Off == ""
	v.Version, v.Modules = agentModules(info)
	return v
}

// holds reports whether the text is somewhere in the file.
func holds(name, text string) (bool, error) {
	f, err := os.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	buf := make([]byte, 1<<20)
	for kept := 0; ; {
		n, err := io.ReadFull(f, buf[kept:])
		if bytes.Contains(buf[:kept+n], []byte(text)) {
			return true, nil
		}
		if err != nil {
			if err == io.EOF || err == io.ErrUnexpectedEOF {
				err = nil
			}
			return false, err
		}
		kept = copy(buf, buf[len(buf)-len(text):])
	}
}

// agentModules returns the versions of the modules that describe added.
func agentModules(info *debug.BuildInfo) (version string, modules map[string]string) {
	_, added := splitDeps(info)
	if len(added) == 0 {
		return "", nil
	}
	modules = make(map[string]string)
	for _, m := range added[1:] {
		modules[m.Path] = m.Version
	}
	return added[0].Version, modules
}

// splitDeps parts the app's modules from those that describe added: the last
// one that is the buildpack's own, and all after it.
func splitDeps(info *debug.BuildInfo) (app, added []*debug.Module) {
	for i := len(info.Deps) - 1; i >= 0; i-- {
		if info.Deps[i].Path == buildpackModule {
			return info.Deps[:i], info.Deps[i:]
		}
	}
	return info.Deps, nil
}

func (v verdict) String() string {
	name := printable(v.Binary)
	switch {
	case v.Problem != "":
		return name + ": cannot tell: " + v.Problem
	case v.Reporter != "":
		return name + ": no agent, but " + v.Reporter + ", which reports by itself"
	case !v.Linked:
		return name + ": no agent"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: agent %s, injection %s, with", name, v.Version, v.Injection)
	for i, path := range sortedKeys(v.Modules) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " %s %s", path, v.Modules[path])
	}
	for i, off := range []string{v.Off, v.OTLPOff} {
		if off != "" {
			b.WriteString(destinations[i].quiet(off))
		}
	}
	return b.String()
}
