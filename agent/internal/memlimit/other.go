//go:build !linux || !go1.19

package memlimit

// Apply says that HMETRICS_MEMORY_LIMIT is of no use here.
func Apply(string) string {
	return "HMETRICS_MEMORY_LIMIT sets no memory limit: that needs Linux and Go 1.19"
}
