package herokugo

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

const (
	blue   = "\x1b[1;34m"
	yellow = "\x1b[1;33m"
	red    = "\x1b[1;31m"
	reset  = "\x1b[0m"
)

// step writes the heading of a step to the build log.
func step(w io.Writer, text string) { fmt.Fprintf(w, "-----> %s\n", text) }

// remark writes lines that the user should not miss, in a colour.
func remark(w io.Writer, colour string, lines ...string) {
	fmt.Fprintf(w, "\n%s !     %s%s\n\n", colour, strings.Join(lines, reset+"\n"+colour+" !     "), reset)
}

// indent returns a writer that sets every line seven spaces in, to stand under
// a step.
func indent(w io.Writer) io.Writer { return &indenter{w: w} }

type indenter struct {
	w      io.Writer
	inLine bool
}

func (in *indenter) Write(p []byte) (int, error) {
	var out bytes.Buffer
	for _, line := range bytes.SplitAfter(p, []byte("\n")) {
		if len(line) == 0 {
			break
		}
		if !in.inLine {
			out.WriteString("       ")
		}
		out.Write(line)
		in.inLine = line[len(line)-1] != '\n'
	}
	if _, err := in.w.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(p), nil
}
