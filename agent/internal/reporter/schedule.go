package reporter

import "time"

// A schedule says when reports are due: at a steady phase, one interval
// apart, whatever happens in between.
//
// The first report is due after one interval and a random part of the next. Until then, an
// app can set what the standard library reads once per process, such as the certificate
// roots and the time zone.
//
// A deploy or the daily restart starts the dynos of a fleet in the same second. With a
// fixed first delay, they would report in the same second forever. A random phase, drawn
// once, spreads them evenly over the interval and keeps each dyno's own reports one
// interval apart.
//
// Times carry Go's monotonic reading, so jumps of the wall clock have no effect.
type schedule struct {
	interval time.Duration
	due      time.Time
}

// newSchedule draws the phase with random, a number in [0,1).
func newSchedule(now time.Time, interval time.Duration, random float64) schedule {
	return schedule{interval, now.Add(interval).Add(time.Duration(random * float64(interval)))}
}

// wait returns the time from now until the next report is due; 0 or less if it is late.
func (s *schedule) wait(now time.Time) time.Duration { return s.due.Sub(now) }

// next is called when a report is made. It returns the time when the next one is due. It
// skips missed intervals and keeps the phase.
func (s *schedule) next(now time.Time) time.Time {
	late := now.Sub(s.due)
	if late < 0 {
		late = 0
	}
	s.due = s.due.Add(late - late%s.interval + s.interval)
	return s.due
}
