//go:build !linux || !go1.19

package memlimit

import "os"

// Apply says that HMETRICS_MEMORY_LIMIT is of no use here, if it is set.
func Apply() string {
	if os.Getenv("HMETRICS_MEMORY_LIMIT") == "" {
		return ""
	}
	return "no memory limit by HMETRICS_MEMORY_LIMIT: that needs Linux and Go 1.19"
}
