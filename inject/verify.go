package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/gocmd"
	"github.com/hmetrics/heroku-buildpack-go-metrics/inject/internal/program"
)

const verifyUsage = `usage: inject verify [-json] PROGRAM…

Checks whether programs have the metrics agent. The exit status is 0 if all of them
report through the agent, 1 if not, and 2 if the command line is wrong.

	inject verify bin/web bin/worker
`

// A verdict is what inspect finds out about a program.
type verdict struct {
	Binary    string `json:"binary"`
	Linked    bool   `json:"linked"`              // the buildpack linked the agent
	Reports   bool   `json:"reports"`             // and it reports to Heroku
	Version   string `json:"version,omitempty"`   // of the buildpack
	Injection string `json:"injection,omitempty"` // the injection ID
	Off       string `json:"off,omitempty"`       // the package that reports to Heroku in the agent's place
	OTLPOff   string `json:"otlp_off,omitempty"`  // the package that reports by OTLP in the agent's place
	Reporter  string `json:"reporter,omitempty"`  // without the agent: a package that reports to Heroku
	Problem   string `json:"problem,omitempty"`   // why nothing is known
}

// verify prints for each program whether it has the agent. It fails unless all of them
// report.
func verify(args []string, w io.Writer) error {
	flags := flag.NewFlagSet("inject verify", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	asJSON := flags.Bool("json", false, "")
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
		return fmt.Errorf("%d of %d programs report through the agent", reporting, len(names))
	}
	return nil
}

// inspect reads what the link step wrote into the program's build information.
// Stripping keeps that; packing does not.
func inspect(name string) verdict {
	v := verdict{Binary: name}
	switch file, err := os.Stat(name); {
	case os.IsNotExist(err):
		v.Problem = "there is no such file"
		return v
	case err == nil && !file.Mode().IsRegular():
		v.Problem = "it is not a regular file"
		return v
	}
	info, err := buildinfo.ReadFile(name)
	if err != nil {
		v.Problem = "it has no Go build information: it is not a Go program, or it was packed"
		return v
	}
	data, err := os.ReadFile(name)
	if err != nil {
		v.Problem = err.Error()
		return v
	}
	v.Injection = program.Setting(info, program.InjectionSetting)
	if v.Injection == "" {
		for _, path := range program.Heroku.Reporters {
			if v.Reporter == "" && bytes.Contains(data, []byte(path+".")) {
				v.Reporter = path
			}
		}
		return v
	}
	// The build information is only a claim. The agent's functions are the proof.
	if !bytes.Contains(data, []byte(agentSymbol)) {
		v.Problem = "its build information claims the agent, but the agent is not in it"
		return v
	}
	v.Off, v.OTLPOff = program.Setting(info, program.Heroku.Setting), program.Setting(info, program.OTLP.Setting)
	v.Linked, v.Reports = true, v.Off == ""
	for _, m := range info.Deps {
		if m.Path == program.Module {
			v.Version = m.Version // the last one; an app may use the agent by itself
		}
	}
	return v
}

// agentSymbol is a prefix of the function names in the agent's package start.
const agentSymbol = "hmetrics.injected/agent/internal/start"

func (v verdict) String() string {
	name := gocmd.Printable(v.Binary)
	switch {
	case v.Problem != "":
		return name + ": cannot tell: " + v.Problem
	case v.Reporter != "":
		return name + ": no agent, but " + v.Reporter + ", which reports by itself"
	case !v.Linked:
		return name + ": no agent"
	}
	text := name + ": agent " + v.Version + ", injection " + v.Injection
	if v.Off != "" {
		text += program.Heroku.Quiet(v.Off)
	}
	if v.OTLPOff != "" {
		text += program.OTLP.Quiet(v.OTLPOff)
	}
	return text
}
