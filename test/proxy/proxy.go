// Package proxy makes the buildpack a module that the go command can fetch.
package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

// Release makes the buildpack in root a version of its module, which GOPROXY=file://dir
// serves.
func Release(dir, root, version string) error {
	const path = "github.com/hmetrics/heroku-buildpack-go-metrics"
	var archive bytes.Buffer
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	served := filepath.Join(dir, path, "@v")
	err = errors.Join(err, zip.CreateFromDir(&archive, module.Version{Path: path, Version: version}, root), os.MkdirAll(served, 0o777))
	for name, content := range map[string][]byte{
		"list":            []byte(version),
		version + ".info": fmt.Appendf(nil, `{"Version": %q}`, version),
		version + ".mod":  mod,
		version + ".zip":  archive.Bytes(),
	} {
		err = errors.Join(err, os.WriteFile(filepath.Join(served, name), content, 0o666))
	}
	if err != nil {
		return fmt.Errorf("making the buildpack a module: %w", err)
	}
	return nil
}
