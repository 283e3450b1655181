package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// contentID returns the part of an archive's build ID that is a hash of what
// the archive holds (cmd/go/internal/work/buildid.go). The build ID stands in
// the text before the archive's first binary data:
//
//	!<arch>
//	__.PKGDEF       0           0     0     644     7955      `
//	go object linux amd64 go1.26.8 X:none
//	build id "b41e5c45250e25c9fd5e9f9a1de7857ea0d41224"
func contentID(archive string) (string, error) {
	id, err := buildID(archive)
	return id[strings.LastIndexByte(id, '/')+1:], err
}

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
	id, ok := parseBuildID(head[:n])
	if !ok {
		return "", fmt.Errorf("reading the build ID of %s: it has none", archive)
	}
	return id, nil
}

func parseBuildID(head []byte) (string, bool) {
	const mark = "\nbuild id "
	i := bytes.Index(head, []byte(mark))
	if i < 0 {
		return "", false
	}
	line := head[i+len(mark):]
	if i = bytes.IndexByte(line, '\n'); i < 0 {
		return "", false
	}
	id, err := strconv.Unquote(string(line[:i]))
	return id, err == nil && id != ""
}

// sameArchive reports whether two archives hold the same. The go command names
// the files in its cache by what they hold: the same name is the same content.
func sameArchive(a, b string) (bool, error) {
	if a == b {
		return true, nil
	}
	idA, err := contentID(a)
	if err != nil {
		return false, err
	}
	idB, err := contentID(b)
	return idA == idB, err
}

// mentions reports whether an archive refers to the package path.
func mentions(archive, path string) (bool, error) {
	data, err := os.ReadFile(archive)
	return bytes.Contains(data, []byte(path)), err
}
