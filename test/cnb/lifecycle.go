// Package cnb runs this buildpack as a Cloud Native Buildpack. A Platform does what pack does,
// with the phases of the real lifecycle, in this process.
package cnb

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/buildpacks/lifecycle/api"
	"github.com/buildpacks/lifecycle/buildpack"
	"github.com/buildpacks/lifecycle/cache"
	"github.com/buildpacks/lifecycle/cmd"
	"github.com/buildpacks/lifecycle/launch"
	"github.com/buildpacks/lifecycle/layers"
	"github.com/buildpacks/lifecycle/log"
	"github.com/buildpacks/lifecycle/phase"
	"github.com/buildpacks/lifecycle/platform"
	"github.com/buildpacks/lifecycle/platform/files"
	"github.com/dsnet/try"
)

// A Platform builds an app repeatedly. Its directories are those of a build container, side
// by side in Dir.
type Platform struct {
	Dir string // holds buildpacks, workspace, platform, layers and cache
	API string // Platform API version
}

// Path returns a path in the platform's directory.
func (p Platform) Path(elem ...string) string {
	return filepath.Join(append([]string{p.Dir}, elem...)...)
}

// Add copies a buildpack to the directory in which the lifecycle looks for it, and returns
// that directory.
func (p Platform) Add(dir string) string {
	bp := try.E1(buildpack.ReadBpDescriptor(filepath.Join(dir, "buildpack.toml")))
	to := p.Path("buildpacks", launch.EscapeID(bp.Buildpack.ID), bp.Buildpack.Version)
	try.E(os.MkdirAll(filepath.Dir(to), 0o777))
	try.E(os.CopyFS(to, os.DirFS(dir)))
	return to
}

// Detect runs the phase detect alone. See Build.
func (p Platform) Detect(w io.Writer, order ...string) (err error) {
	defer try.Handle(&err)
	p.start(w, order)
	return nil
}

// Build runs the phases detect, restore and build, with buildpacks in the given order, and
// then caches the layers that ask for it. It begins with an empty layers directory, and calls
// restored between restore and build. The phases and the buildpacks print to w.
func (p Platform) Build(w io.Writer, restored func() error, order ...string) (err error) {
	defer try.Handle(&err)
	b := p.start(w, order)
	volume := try.E1(cache.NewVolumeCache(p.Path("cache"), b.Logger))
	restorer := phase.Restorer{LayersDir: b.LayersDir, Logger: b.Logger, Buildpacks: b.Group.Group, PlatformAPI: b.PlatformAPI}
	try.E(restorer.Restore(volume))
	try.E(restored())
	try.E1(b.Build())

	artifacts := try.E1(os.MkdirTemp(p.Dir, "artifacts"))
	defer os.RemoveAll(artifacts)
	exporter := phase.Exporter{
		Buildpacks: b.Group.Group, Logger: b.Logger, PlatformAPI: b.PlatformAPI,
		LayerFactory: &layers.Factory{ArtifactsDir: artifacts, UID: os.Getuid(), GID: os.Getgid(), Logger: b.Logger, Ctx: context.Background()},
	}
	return exporter.Cache(b.LayersDir, volume)
}

// start creates the directories, runs the phase detect, and returns the phase build for its
// result.
func (p Platform) start(w io.Writer, order []string) *phase.Builder {
	p.prepare(order)
	logger := log.NewDefaultLogger(w)
	try.E(logger.SetLevel("debug"))
	version := try.E1(api.NewVersion(p.API))
	in := platform.NewLifecycleInputs(version)
	in.AppDir, in.PlatformDir, in.LayersDir = p.Path("workspace"), p.Path("platform"), p.Path("layers")
	in.BuildpacksDir, in.BuildConfigDir = p.Path("buildpacks"), p.Path("build-config")
	in.OrderPath, in.AnalyzedPath = p.Path("order.toml"), p.Path("analyzed.toml")
	analyzed := files.Analyzed{RunImage: &files.RunImage{TargetMetadata: &files.TargetMetadata{
		OS: runtime.GOOS, Arch: runtime.GOARCH, Distro: &files.OSDistro{Name: "unknown", Version: "1"},
	}}}
	try.E(files.Handler.WriteAnalyzed(in.AnalyzedPath, &analyzed, logger))
	store := platform.NewDirStore(in.BuildpacksDir, "")
	detector := try.E1(phase.NewHermeticFactory(version, &cmd.BuildpackAPIVerifier{}, files.Handler, store).NewDetector(*in, logger))
	group, plan := try.E2(detector.Detect())
	return &phase.Builder{
		AppDir: in.AppDir, BuildConfigDir: in.BuildConfigDir, LayersDir: in.LayersDir, PlatformDir: in.PlatformDir,
		BuildExecutor: &buildpack.DefaultBuildExecutor{}, DirStore: store, Group: group, Plan: plan,
		Logger: logger, Out: w, Err: w, PlatformAPI: version, AnalyzeMD: analyzed,
	}
}

// prepare empties the layers, and writes the order.
func (p Platform) prepare(order []string) {
	try.E(removeAll(p.Path("layers")))
	for _, dir := range []string{"layers", "cache", "build-config", "platform/env"} {
		try.E(os.MkdirAll(p.Path(dir), 0o777))
	}
	text := "[[order]]\n"
	for _, id := range order {
		versions := try.E1(os.ReadDir(p.Path("buildpacks", launch.EscapeID(id))))
		text += fmt.Sprintf("[[order.group]]\nid = %q\nversion = %q\n", id, versions[0].Name())
	}
	try.E(os.WriteFile(p.Path("order.toml"), []byte(text), 0o666))
}

// removeAll removes a directory that contains modules that the go command write-protected.
func removeAll(dir string) error {
	return exec.Command("sh", "-c", `[ ! -e "$0" ] || { chmod -R u+w "$0" && rm -r "$0"; }`, dir).Run()
}
