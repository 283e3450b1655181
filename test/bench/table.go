package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// writeTable writes the rows that the journal has readings of. It reports
// whether no target is missed.
func writeTable(w io.Writer, j *journal) (ok bool, err error) {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.Join([]string{"row", "what", "against", "this", "that", "compared", "spread", "pairs", "CPU", "target", ""}, "\t"))
	ok = true
	machines := map[string]bool{}
	for _, r := range rows {
		values, cpu := j.pairs(r)
		if len(values) == 0 {
			continue
		}
		for _, x := range j.of(r.name) {
			machines[fmt.Sprintf("%s, %d CPUs", x.Go, x.CPUs)] = true
		}
		s := summarise(values, r.compare.of)
		what := r.what
		if n := j.size(r.name); n > 0 && !r.isOrchestrion() {
			what += fmt.Sprintf(" (%d packages in all)", n)
		}
		cpuRatio := ""
		if len(cpu) > 0 {
			cpuRatio = fmt.Sprintf("%.3f", summarise(cpu, ratio.of).mid)
		}
		verdict := r.verdict(s)
		ok = ok && verdict != "missed"
		fmt.Fprintln(tw, strings.Join([]string{
			r.name, what, r.against,
			r.unit.show(s.a), r.unit.show(s.b),
			r.shown(s.mid), r.shown(s.low) + " … " + r.shown(s.high), fmt.Sprint(s.pairs),
			cpuRatio, r.goal(), verdict,
		}, "\t"))
	}
	if err := tw.Flush(); err != nil {
		return false, err
	}
	for machine := range machines {
		if _, err := fmt.Fprintln(w, machine); err != nil {
			return false, err
		}
	}
	return ok, nil
}
