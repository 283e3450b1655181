package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// An object is a Go object file (cmd/internal/goobj). Only its beginning matters here: a
// magic string of eight bytes, the fingerprint, and flags.
type object []byte

const objectMagic = "\x00go1" // followed by the release that introduced the format, as 20ld

func (o object) fingerprint() []byte { return o[8:16] }

// shared reports whether the code can be loaded at any address.
func (o object) shared() bool { return o[16]&1 != 0 }

// objectFile returns the Go object file at the end of a hook's archive
// (cmd/internal/archive):
//
//	go object linux amd64 go1.26.8 X:none
//	…
//	!
//	␀go120ld…
func objectFile(archive []byte) (object, error) {
	const end = "\n!\n"
	i := bytes.LastIndex(archive, []byte(end+objectMagic))
	if i < 0 || len(archive) < i+len(end)+20 || string(archive[i+len(end)+6:i+len(end)+8]) != "ld" {
		return nil, errors.New("its object file has an unknown form: this Go release may be newer than this buildpack")
	}
	return object(archive[i+len(end):]), nil
}

// contentID returns the part of a build ID that is a hash of the archive's content
// (cmd/go/internal/work/buildid.go).
func contentID(buildID string) string { return buildID[strings.LastIndexByte(buildID, '/')+1:] }

// buildID returns the build ID of an archive. It is in the text before the archive's first
// binary data:
//
//	!<arch>
//	__.PKGDEF       0           0     0     644     7955      `
//	go object linux amd64 go1.26.8 X:none
//	build id "b41e5c45250e25c9fd5e9f9a1de7857ea0d41224"
func buildID(archive string) (string, error) {
	f, err := os.Open(archive)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head := make([]byte, 1024)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.ErrUnexpectedEOF {
		return "", fmt.Errorf("reading the build ID of %s: %w", archive, err)
	}
	_, rest, _ := strings.Cut(string(head[:n]), "\nbuild id ")
	line, _, _ := strings.Cut(rest, "\n")
	id, err := strconv.Unquote(line)
	if err != nil || id == "" {
		return "", fmt.Errorf("reading the build ID of %s: it has none", archive)
	}
	return id, nil
}
