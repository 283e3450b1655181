package main

import (
	"context"
	"fmt"
	"os/exec"
	"sort"
	"strconv"
	"strings"
)

// inits measures how long the initialisation of packages takes, by the runtime's
// own clock (GODEBUG=inittrace=1): of the difference in start-up, the part that
// has a name. What the shaded packages and runtime/metrics take is said.
func inits(ctx context.Context, l *lab, pair int, m *meter) error {
	return l.onStarts(ctx, m, "init", func(name, against, ours, theirs string) error {
		const times = 200
		totals := map[string][]float64{}
		packages := map[string]map[string][]float64{}
		for i := 0; i < times; i++ {
			if err := ctx.Err(); err != nil {
				return err
			}
			for _, s := range []struct{ side, file string }{{buildpack, ours}, {against, theirs}} {
				inits, err := traceInits(s.file)
				if err != nil {
					return err
				}
				if packages[s.side] == nil {
					packages[s.side] = map[string][]float64{}
				}
				total := 0.0
				for pkg, took := range inits {
					total += took
					packages[s.side][pkg] = append(packages[s.side][pkg], took)
				}
				totals[s.side] = append(totals[s.side], total)
			}
		}
		emitPaired(m, name, pair, buildpack, totals[buildpack], against, totals[against])
		if pair == 1 {
			l.say("%s: dearer with the agent: %s", name, dearer(packages[buildpack], packages[against]))
		}
		return nil
	})
}

// traceInits returns how long each package took to initialise, in seconds.
func traceInits(file string) (map[string]float64, error) {
	cmd := exec.Command(file, "exit")
	cmd.Env = []string{"GODEBUG=inittrace=1"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s exit: %w\n%s", file, err, tail(string(out)))
	}
	inits := map[string]float64{}
	for _, line := range strings.Split(string(out), "\n") {
		// init net/http @1.2 ms, 0.034 ms clock, 5216 bytes, 90 allocs
		f := strings.Fields(line)
		if len(f) < 7 || f[0] != "init" || f[5] != "ms" {
			continue
		}
		ms, err := strconv.ParseFloat(f[4], 64)
		if err != nil {
			return nil, fmt.Errorf("reading what inittrace says: %q: %w", line, err)
		}
		inits[f[1]] = ms / 1e3
	}
	if len(inits) == 0 {
		return nil, fmt.Errorf("%s: GODEBUG=inittrace=1 says nothing:\n%s", file, tail(string(out)))
	}
	return inits, nil
}

// dearer names the packages that take at least 3 µs longer in a than in b.
func dearer(a, b map[string][]float64) string {
	type cost struct {
		pkg  string
		more float64
	}
	var costs []cost
	for pkg, times := range a {
		more := median(times)
		if other := b[pkg]; len(other) > 0 {
			more -= median(other)
		}
		if more >= 3e-6 {
			costs = append(costs, cost{pkg, more})
		}
	}
	sort.Slice(costs, func(i, j int) bool { return costs[i].more > costs[j].more })
	var words []string
	for _, c := range costs {
		words = append(words, fmt.Sprintf("%s %.0f µs", c.pkg, c.more*1e6))
	}
	if len(words) == 0 {
		return "none by 3 µs"
	}
	return strings.Join(words, ", ")
}
