package main

import (
	"context"
	"os"
	"path/filepath"
)

// slugs measures by how many bytes the agent makes binaries bigger, as heroku/go
// builds them, beside what one would import by hand.
func slugs(ctx context.Context, l *lab, pair int, m *meter) error {
	growth := func(name, against string, s, other shape) error {
		if !m.wants(name) {
			return nil
		}
		bare, err := l.size(ctx, s, plain)
		if err != nil {
			return err
		}
		ours, err := l.size(ctx, s, buildpack)
		if err != nil {
			return err
		}
		theirs, err := l.size(ctx, other, plain)
		if err != nil {
			return err
		}
		m.emit(name, pair, buildpack, took{wall: ours - bare})
		m.emit(name, pair, against, took{wall: theirs - bare})
		return nil
	}
	if err := growth("slug/web", library, webApp, webApp.byHand()); err != nil {
		return err
	}
	return growth("slug/worker", client, workerApp, workerApp.withClient())
}

// size returns the bytes of the binary of an app.
func (l *lab) size(ctx context.Context, s shape, side string) (float64, error) {
	file, err := l.binary(ctx, s, side)
	if err != nil {
		return 0, err
	}
	info, err := os.Stat(file)
	if err != nil {
		return 0, err
	}
	return float64(info.Size()), nil
}

// binary returns the file of the first binary of an app.
func (l *lab) binary(ctx context.Context, s shape, side string) (string, error) {
	a, err := l.generate(s)
	if err != nil {
		return "", err
	}
	bin, err := l.binaries(ctx, a, side)
	return filepath.Join(bin, a.main), err
}
