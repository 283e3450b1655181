//go:build !toolexec

package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"strings"
)

// A verdict is what can be said about a binary.
type verdict struct {
	Binary    string            `json:"binary"`
	Linked    bool              `json:"linked"`              // the buildpack linked the agent
	Reports   bool              `json:"reports"`             // and it is not switched off
	Version   string            `json:"version,omitempty"`   // of the buildpack
	Injection string            `json:"injection,omitempty"` // the injection ID
	Off       string            `json:"off,omitempty"`       // the package that reports in the agent's place
	Modules   map[string]string `json:"modules,omitempty"`   // versions of the third-party code inside the agent
	Problem   string            `json:"problem,omitempty"`   // why nothing can be said
}

// verify says for each binary whether the agent is linked. It returns an error
// unless every one reports.
func verify(args []string, w io.Writer) error {
	asJSON := len(args) > 0 && (args[0] == "-json" || args[0] == "--json")
	if asJSON {
		args = args[1:]
	}
	if len(args) == 0 {
		return errors.New("usage: inject verify [-json] BINARY…")
	}
	var verdicts []verdict
	reporting := 0
	for _, name := range args {
		v := inspect(name)
		verdicts = append(verdicts, v)
		if v.Reports {
			reporting++
		}
	}
	if asJSON {
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
	if reporting < len(args) {
		return fmt.Errorf("%d of %d binaries report through the agent", reporting, len(args))
	}
	return nil
}

// inspect reads what link wrote into the binary's build information. Stripping
// leaves that in place; a packer does not.
func inspect(name string) verdict {
	v := verdict{Binary: name}
	info, err := buildinfo.ReadFile(name)
	if err != nil {
		v.Problem = fmt.Sprintf("cannot tell: reading its build information: %v", err)
		return v
	}
	v.Injection, v.Off = setting(info, injectionSetting), setting(info, offSetting)
	if v.Injection == "" {
		return v
	}
	// The build information is a claim. The agent's functions are the thing.
	b, err := os.ReadFile(name)
	if err != nil {
		v.Problem = fmt.Sprintf("cannot tell: %v", err)
		return v
	}
	if !bytes.Contains(b, []byte(shadedOnload)) {
		v.Problem = "its build information claims the agent, but the agent is not in it"
		return v
	}
	v.Linked, v.Reports = true, v.Off == ""
	v.Version, v.Modules = agentModules(info)
	return v
}

// setting returns a setting of the build information, or "".
func setting(b *debug.BuildInfo, key string) string {
	for _, s := range b.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
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
	switch {
	case v.Problem != "":
		return v.Binary + ": " + v.Problem
	case !v.Linked:
		return v.Binary + ": no agent"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: agent %s, injection %s, with", v.Binary, v.Version, v.Injection)
	for i, path := range sortedKeys(v.Modules) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, " %s %s", path, v.Modules[path])
	}
	if v.Off != "" {
		fmt.Fprintf(&b, "; off, because %s reports in its place", v.Off)
	}
	return b.String()
}
