package reporter

import "time"

// A schedule says when reports are due: at a steady phase, one interval
// apart, whatever happens in between.
//
// The first is due after one interval and a random part of the next. Until
// then an app can set what the standard library reads once per process, such
// as the certificate roots and the time zone: a report has it read.
//
// Dynos of a fleet are started in the same second by a deploy or the daily
// restart, and with a fixed first delay they would report in the same second
// for ever. Drawing the phase once spreads them evenly over the interval, the
// first report included, and keeps each dyno's own reports one interval apart.
//
// Times carry Go's monotonic reading, so that the wall clock may jump.
type schedule struct {
	interval time.Duration
	due      time.Time
}

// newSchedule draws the phase with random, a number in [0,1).
func newSchedule(now time.Time, interval time.Duration, random float64) schedule {
	return schedule{interval, now.Add(interval).Add(time.Duration(random * float64(interval)))}
}

// wait returns how long from now the next report is due; 0 or less if it is
// late.
func (s *schedule) wait(now time.Time) time.Duration { return s.due.Sub(now) }

// next is called when a report is made. It returns when the next one is due.
// Whole intervals that were missed are dropped, the phase stays.
func (s *schedule) next(now time.Time) time.Time {
	late := now.Sub(s.due)
	if late < 0 {
		late = 0
	}
	s.due = s.due.Add(late - late%s.interval + s.interval)
	return s.due
}
