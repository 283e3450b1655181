package main

import (
	"testing"
	"time"
)

// What the command does, with little of everything.
func TestShort(t *testing.T) {
	for name, f := range map[string]*fleet{
		"fleet": {processes: 12, interval: 2 * time.Second},
		"dynos": {dynos: 500, interval: 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if err := f.run(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
