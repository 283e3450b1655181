//go:build race

package reporter

// race is 1 under the race detector.
const race = 1
