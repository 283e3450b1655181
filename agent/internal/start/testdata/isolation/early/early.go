// Package early is initialized before the agent is, and may set rand.Reader.
package early

import (
	"crypto/rand"
	"os"
	"strings"
)

func init() {
	if os.Getenv("EARLY_READER") != "" {
		rand.Reader = strings.NewReader("")
	}
}
