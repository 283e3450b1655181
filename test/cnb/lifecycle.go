// Package cnb runs this buildpack as a Cloud Native Buildpack. A Platform does to
// an app what pack does, with the phases of the real lifecycle, in this process.
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
)

// A Platform builds an app again and again. Its directories are those of a build
// container, side by side in Dir.
type Platform struct {
	Dir string // holds buildpacks, workspace, platform, layers and cache
	API string // Platform API version
}

// Path returns a path in the platform's directory.
func (p Platform) Path(elem ...string) string {
	return filepath.Join(append([]string{p.Dir}, elem...)...)
}

// Add copies a buildpack to where the lifecycle looks for it, and returns its
// new directory.
func (p Platform) Add(dir string) (string, error) {
	bp, err := buildpack.ReadBpDescriptor(filepath.Join(dir, "buildpack.toml"))
	if err != nil {
		return "", fmt.Errorf("adding a buildpack: %w", err)
	}
	to := p.Path("buildpacks", launch.EscapeID(bp.Buildpack.ID), bp.Buildpack.Version)
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return "", err
	}
	return to, os.CopyFS(to, os.DirFS(dir))
}

// Detect runs the phase detect alone. See Build.
func (p Platform) Detect(w io.Writer, order ...string) error {
	_, err := p.start(w, order)
	return err
}

// Build runs the phases detect, restore and build, with buildpacks in the given order, and
// then keeps the layers that are to be cached. It begins with an empty layers directory,
// and calls restored between restore and build. What the phases and the buildpacks print
// goes to w.
func (p Platform) Build(w io.Writer, restored func() error, order ...string) error {
	b, err := p.start(w, order)
	if err != nil {
		return err
	}
	volume, err := cache.NewVolumeCache(p.Path("cache"), b.Logger)
	if err != nil {
		return err
	}
	restorer := phase.Restorer{LayersDir: b.LayersDir, Logger: b.Logger, Buildpacks: b.Group.Group, PlatformAPI: b.PlatformAPI}
	if err := restorer.Restore(volume); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if err := restored(); err != nil {
		return err
	}
	if _, err := b.Build(); err != nil {
		return fmt.Errorf("build: %w", err)
	}

	artifacts, err := os.MkdirTemp(p.Dir, "artifacts")
	if err != nil {
		return err
	}
	defer os.RemoveAll(artifacts)
	exporter := phase.Exporter{
		Buildpacks: b.Group.Group, Logger: b.Logger, PlatformAPI: b.PlatformAPI,
		LayerFactory: &layers.Factory{ArtifactsDir: artifacts, UID: os.Getuid(), GID: os.Getgid(), Logger: b.Logger, Ctx: context.Background()},
	}
	if err := exporter.Cache(b.LayersDir, volume); err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	return nil
}

// start lays out the directories, runs the phase detect, and returns the phase
// build for what it found.
func (p Platform) start(w io.Writer, order []string) (*phase.Builder, error) {
	if err := p.prepare(order); err != nil {
		return nil, err
	}
	logger := log.NewDefaultLogger(w)
	if err := logger.SetLevel("debug"); err != nil {
		return nil, err
	}
	version, err := api.NewVersion(p.API)
	if err != nil {
		return nil, err
	}
	in := platform.NewLifecycleInputs(version)
	in.AppDir, in.PlatformDir, in.LayersDir = p.Path("workspace"), p.Path("platform"), p.Path("layers")
	in.BuildpacksDir, in.BuildConfigDir = p.Path("buildpacks"), p.Path("build-config")
	in.OrderPath, in.AnalyzedPath = p.Path("order.toml"), p.Path("analyzed.toml")
	analyzed := files.Analyzed{RunImage: &files.RunImage{TargetMetadata: &files.TargetMetadata{
		OS: runtime.GOOS, Arch: runtime.GOARCH, Distro: &files.OSDistro{Name: "unknown", Version: "1"},
	}}}
	if err := files.Handler.WriteAnalyzed(in.AnalyzedPath, &analyzed, logger); err != nil {
		return nil, err
	}
	store := platform.NewDirStore(in.BuildpacksDir, "")
	detector, err := phase.NewHermeticFactory(version, &cmd.BuildpackAPIVerifier{}, files.Handler, store).NewDetector(*in, logger)
	if err != nil {
		return nil, fmt.Errorf("detect: %w", err)
	}
	group, plan, err := detector.Detect()
	if err != nil {
		return nil, fmt.Errorf("detect: %w", err)
	}
	return &phase.Builder{
		AppDir: in.AppDir, BuildConfigDir: in.BuildConfigDir, LayersDir: in.LayersDir, PlatformDir: in.PlatformDir,
		BuildExecutor: &buildpack.DefaultBuildExecutor{}, DirStore: store, Group: group, Plan: plan,
		Logger: logger, Out: w, Err: w, PlatformAPI: version, AnalyzeMD: analyzed,
	}, nil
}

// prepare empties the layers, and writes the order.
func (p Platform) prepare(order []string) error {
	if err := removeAll(p.Path("layers")); err != nil {
		return err
	}
	for _, dir := range []string{"layers", "cache", "build-config", "platform/env"} {
		if err := os.MkdirAll(p.Path(dir), 0o777); err != nil {
			return err
		}
	}
	text := "[[order]]\n"
	for _, id := range order {
		versions, err := os.ReadDir(p.Path("buildpacks", launch.EscapeID(id)))
		if err != nil {
			return fmt.Errorf("no buildpack %s has been added: %w", id, err)
		}
		text += fmt.Sprintf("[[order.group]]\nid = %q\nversion = %q\n", id, versions[0].Name())
	}
	return os.WriteFile(p.Path("order.toml"), []byte(text), 0o666)
}

// removeAll removes a directory in which the go command has write-protected modules.
func removeAll(dir string) error {
	return exec.Command("sh", "-c", `[ ! -e "$0" ] || { chmod -R u+w "$0" && rm -r "$0"; }`, dir).Run()
}
