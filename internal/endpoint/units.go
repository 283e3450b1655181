package endpoint

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Bytes renders a number of bytes, such as 1.2 MiB.
func Bytes(n float64) string {
	if n < 1024 {
		return fmt.Sprintf("%.0f B", n)
	}
	units := [...]string{"KiB", "MiB", "GiB", "TiB", "PiB"}
	i := -1
	for n >= 1024 && i < len(units)-1 {
		n /= 1024
		i++
	}
	// 1023.95 would become 1024.0.
	if n >= 1023.95 && i < len(units)-1 {
		n /= 1024
		i++
	}
	if n >= 1e6 {
		return fmt.Sprintf("%.3g %s", n, units[i])
	}
	return fmt.Sprintf("%.1f %s", n, units[i])
}

// Count renders a whole number with commas, such as 12,345.
func Count(n float64) string {
	if n >= 1e18 {
		return fmt.Sprintf("%.3g", n)
	}
	s := strconv.FormatFloat(n, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Duration renders nanoseconds with three digits, such as 123µs.
func Duration(ns float64) string {
	if ns >= math.MaxInt64 {
		return fmt.Sprintf("%.3gs", ns/1e9)
	}
	d := time.Duration(ns)
	for unit := time.Duration(1); unit < time.Hour; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit).String()
		}
	}
	return d.Round(time.Minute).String()
}
