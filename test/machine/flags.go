package machine

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

// ParseFlags has fs parse args. If they ask for help, it writes help and the flags
// to out and returns flag.ErrHelp. It prints no other error: that is the caller's.
func ParseFlags(fs *flag.FlagSet, args []string, out io.Writer, help string) error {
	fs.SetOutput(io.Discard)
	err := fs.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintf(out, "%s\n\nFlags:\n", help)
		fs.SetOutput(out)
		fs.PrintDefaults()
	}
	return err
}
