package cnb

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
	"github.com/buildpacks/lifecycle/buildpack"
	"github.com/dsnet/try"
)

var update = flag.Bool("update", false, "write bin/sbom.cdx.json")

const (
	sbomFile = "../../bin/sbom.cdx.json"
	sbomTool = "github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.9.0"
)

// TestSBOM holds the agent's SBOM against what cyclonedx-gomod finds: go.mod has the
// agent's modules and no others. There is no Go where bin/build hands the file out.
func TestSBOM(t *testing.T) {
	bp := try.E1(buildpack.ReadBpDescriptor("../../buildpack.toml"))
	list := exec.Command("go", "run", sbomTool, "mod", "-json", "-licenses", "-assert-licenses", "-noserial", "-output-version", "1.5", "-type", "library")
	list.Dir = "../.."
	// Which modules are listed must not depend on the machine of the test.
	list.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	list.Stderr = t.Output()
	var bom cdx.BOM
	try.E(cdx.NewBOMDecoder(bytes.NewReader(try.E1(list.Output())), cdx.BOMFileFormatJSON).Decode(&bom))
	// What differs from one run to the next, or would from one system to the other.
	main := bom.Metadata.Component
	main.Description = bp.Buildpack.Name
	bom.Metadata = &cdx.Metadata{Component: main}
	var want bytes.Buffer
	try.E(cdx.NewBOMEncoder(&want, cdx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).EncodeVersion(&bom, cdx.SpecVersion1_5))
	content := strings.NewReplacer("&goos=linux&goarch=amd64", "", main.Version, "v"+bp.Buildpack.Version).Replace(want.String())
	if *update {
		try.E(os.WriteFile(sbomFile, []byte(content), 0o666))
	}
	if got, err := os.ReadFile(sbomFile); err != nil || string(got) != content {
		t.Errorf("%s is out of date (%v). Type: go test -run TestSBOM -update\n%s", sbomFile, err, content)
	}
	if !strings.Contains(content, "go-retryablehttp") {
		t.Error("the agent has no modules")
	}
}
