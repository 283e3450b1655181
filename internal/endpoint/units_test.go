package endpoint

import (
	"math"
	"testing"
)

func TestUnits(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{Bytes(0), "0 B"},
		{Bytes(1023), "1023 B"},
		{Bytes(1024), "1.0 KiB"},
		{Bytes(1<<20 - 1), "1.0 MiB"},
		{Bytes(1 << 20), "1.0 MiB"},
		{Bytes(3.5 * (1 << 30)), "3.5 GiB"},
		{Bytes(math.MaxUint64), "16384.0 PiB"},
		{Bytes(math.MaxFloat64), "1.6e+293 PiB"},
		{Count(0), "0"},
		{Count(999), "999"},
		{Count(1000), "1,000"},
		{Count(1234567), "1,234,567"},
		{Count(math.MaxFloat64), "1.8e+308"},
		{Duration(0), "0s"},
		{Duration(999), "999ns"},
		{Duration(1239), "1.24µs"},
		{Duration(123456), "123µs"},
		{Duration(1.5e9), "1.5s"},
		{Duration(math.MaxFloat64), "1.8e+299s"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}
