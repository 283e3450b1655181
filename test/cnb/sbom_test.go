package cnb

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
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

	var read cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(got), cdx.BOMFileFormatJSON).Decode(&read); err != nil {
		t.Fatal(err)
	}
	if read.Components == nil || len(*read.Components) == 0 || read.Metadata == nil || read.Metadata.Component == nil {
		t.Errorf("%s names no components: %+v", sbomFile, read)
	}
}

// A pkg is what go list tells of a package.
type pkg struct {
	ImportPath string
	Imports    []string
	Module     *struct{ Path, Version, Dir string }
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
	list := exec.Command("go", "list", "-mod=readonly", "-deps", "-json=ImportPath,Imports,Module", "./agent/onload")
	list.Dir = "../.."
	// Which packages are linked must not depend on the machine of the test.
	list.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("listing the agent's packages: %w", err)
	}

	byPath := map[string]pkg{} // packages of modules
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		if p.Module != nil {
			byPath[p.ImportPath] = p
		}
	}
	components := map[string]cdx.Component{} // by module path
	uses := map[string]map[string]bool{}     // references, by module path
	own := ""
	for _, p := range byPath {
		m := p.Module
		if m.Version == "" { // the buildpack's own
			own, m.Version = m.Path, "v"+bp.Buildpack.Version
		}
		c, err := component(m.Path, m.Version, m.Dir, string(sums))
		if err != nil {
			return nil, err
		}
		components[m.Path] = c
	}
	for _, p := range byPath {
		for _, i := range p.Imports {
			if q, ok := byPath[i]; ok && q.Module.Path != p.Module.Path {
				if uses[p.Module.Path] == nil {
					uses[p.Module.Path] = map[string]bool{}
				}
				uses[p.Module.Path][components[q.Module.Path].BOMRef] = true
			}
		}
	}

	bom := cdx.NewBOM()
	main := components[own]
	main.Hashes = nil
	main.Description = bp.Buildpack.Name
	bom.Metadata = &cdx.Metadata{Component: &main}
	bom.Components, bom.Dependencies = &[]cdx.Component{}, &[]cdx.Dependency{}
	for _, path := range keys(components) {
		refs := keys(uses[path])
		*bom.Dependencies = append(*bom.Dependencies, cdx.Dependency{Ref: components[path].BOMRef, Dependencies: &refs})
		if path != own {
			*bom.Components = append(*bom.Components, components[path])
		}
	}
	return bom, nil
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

func keys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
