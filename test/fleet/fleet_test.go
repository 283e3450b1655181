package main

import (
	"testing"
	"time"
)

// The short form: what the command does, with little of everything.
func TestFleet(t *testing.T) {
	if err := run(t.Context(), options{processes: 12, interval: 2 * time.Second}); err != nil {
		t.Error(err)
	}
}

func TestDynos(t *testing.T) {
	if err := run(t.Context(), options{dynos: 500, interval: 5 * time.Second}); err != nil {
		t.Error(err)
	}
}
