package cnb

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/buildpacks/lifecycle/buildpack"
)

var update = flag.Bool("update", false, "write agent/sbom.cdx.json")

const sbomFile = "../../agent/sbom.cdx.json"

// TestSBOM holds the agent's SBOM against the modules that the go command links
// for agent/onload. There is no Go where bin/build hands the file out.
func TestSBOM(t *testing.T) {
	bom, err := agentBOM()
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	if err := cdx.NewBOMEncoder(&want, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_5); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(sbomFile, want.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(sbomFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is out of date. Type: go test -run TestSBOM -update\n%s", sbomFile, &want)
	}
	if len(*bom.Components) == 0 {
		t.Error("the agent has no modules")
	}
}

// agentBOM asks the go command what the agent consists of.
func agentBOM() (*cdx.BOM, error) {
	bp, err := buildpack.ReadBpDescriptor("../../buildpack.toml")
	if err != nil {
		return nil, err
	}
	sums, err := os.ReadFile("../../go.sum")
	if err != nil {
		return nil, err
	}
	out, err := listPackages()
	if err != nil {
		return nil, err
	}

	bom := cdx.NewBOM()
	bom.Components, bom.Dependencies = &[]cdx.Component{}, &[]cdx.Dependency{}
	moduleOf := map[string]string{}          // by import path
	components := map[string]cdx.Component{} // by module path
	uses := map[string]map[string]bool{}     // references, by module path
	for _, line := range strings.Split(string(out), "\n") {
		f := strings.Split(line, "|")
		if len(f) != 5 {
			continue // a package of the standard library
		}
		path, version := f[1], f[2]
		moduleOf[f[0]] = path
		own := version == "" // the buildpack's
		if own {
			version = "v" + bp.Buildpack.Version
		}
		c, err := component(path, version, f[3], string(sums))
		if err != nil {
			return nil, err
		}
		components[path] = c
		if uses[path] == nil {
			uses[path] = map[string]bool{}
		}
		for _, i := range strings.Fields(f[4]) { // they have come before
			if m := moduleOf[i]; m != "" && m != path {
				uses[path][components[m].BOMRef] = true
			}
		}
		if own {
			c.Description = bp.Buildpack.Name
			bom.Metadata = &cdx.Metadata{Component: &c}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(components)) {
		refs := slices.Sorted(maps.Keys(uses[path]))
		if refs == nil {
			refs = []string{}
		}
		*bom.Dependencies = append(*bom.Dependencies, cdx.Dependency{Ref: components[path].BOMRef, Dependencies: &refs})
		if path != bom.Metadata.Component.Name {
			*bom.Components = append(*bom.Components, components[path])
		}
	}
	return bom, nil
}

// listPackages returns a line for each package of the agent that is a module's: its
// import path, the module and its directory, and what it imports.
func listPackages() ([]byte, error) {
	const format = `{{with .Module}}{{$.ImportPath}}|{{.Path}}|{{.Version}}|{{.Dir}}|{{join $.Imports " "}}{{end}}`
	list := exec.Command("go", "list", "-mod=readonly", "-deps", "-f", format, "./agent/onload")
	list.Dir = "../.."
	// Which packages are linked must not depend on the machine of the test.
	list.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("listing the agent's packages: %w", err)
	}
	return out, nil
}

func component(path, version, dir, sums string) (cdx.Component, error) {
	license, err := licenseOf(dir)
	if err != nil {
		return cdx.Component{}, err
	}
	purl := "pkg:golang/" + path + "@" + version
	c := cdx.Component{
		Type: cdx.ComponentTypeLibrary, BOMRef: purl, Name: path, Version: version, PackageURL: purl,
		Licenses: &cdx.Licenses{{License: &cdx.License{ID: license}}},
	}
	for _, line := range strings.Split(sums, "\n") {
		if f := strings.Fields(line); len(f) == 3 && f[0] == path && f[1] == version {
			// go.sum has the SHA-256 of a list of the module's files.
			sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(f[2], "h1:"))
			if err != nil {
				return cdx.Component{}, fmt.Errorf("go.sum: %s: %w", line, err)
			}
			c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum)}}
		}
	}
	return c, nil
}

// licenseOf returns the SPDX name of the license in a module's directory.
func licenseOf(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, "LICENSE"))
	if err != nil {
		return "", err
	}
	text := strings.Join(strings.Fields(string(b)), " ")
	switch {
	case strings.Contains(text, "Mozilla Public License, version 2.0"), strings.Contains(text, "Mozilla Public License Version 2.0"):
		return "MPL-2.0", nil
	case strings.Contains(text, "Permission is hereby granted, free of charge") && strings.Contains(text, `"AS IS", WITHOUT WARRANTY`):
		return "MIT", nil
	}
	return "", fmt.Errorf("%s/LICENSE is none that is known here: %.60s…", dir, text)
}
