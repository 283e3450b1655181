package reporter

import (
	"math"
	"math/rand"
	"testing"
	"time"
)

const s20 = 20 * time.Second

// Formatting drops the monotonic reading; tests use times without one, as a fake clock does.
var t0 = time.Date(2026, 3, 29, 0, 59, 59, 0, time.UTC)

func TestFirstReportAfterOneIntervalAndAPartOfTheNext(t *testing.T) {
	for _, random := range []float64{0, 0.25, 0.999999} {
		s := newSchedule(t0, s20, random)
		if w := s.wait(t0); w < s20 || w > 2*s20 {
			t.Errorf("drew %v: first report after %v", random, w)
		}
	}
}

func TestTheLongestInterval(t *testing.T) {
	now := time.Now()
	s := newSchedule(now, math.MaxInt64, 0.9)
	if w := s.wait(now); w != math.MaxInt64 {
		t.Errorf("first report after %v", w)
	}
}

func TestSteadyPhase(t *testing.T) {
	s := newSchedule(t0, s20, 0.5)
	for i := 0; i < 1000; i++ {
		want := t0.Add(s20/2 + time.Duration(i+1)*s20)
		if due := t0.Add(s.wait(t0)); !due.Equal(want) {
			t.Fatalf("report %d is due at %v, want %v", i, due, want)
		}
		s.next(want.Add(time.Duration(i) * time.Millisecond)) // ever later
	}
}

func TestALateReportDoesNotShiftTheNext(t *testing.T) {
	s := newSchedule(t0, s20, 0)
	made := t0.Add(s20).Add(s20 - 1)
	if next := s.next(made); !next.Equal(t0.Add(2 * s20)) {
		t.Errorf("next report at %v", next)
	}
}

func TestMissedReportsAreDroppedNotPiledUp(t *testing.T) {
	s := newSchedule(t0, s20, 0)
	made := t0.Add(7*s20 + time.Second) // six were missed
	if next := s.next(made); !next.Equal(t0.Add(8 * s20)) {
		t.Errorf("next report at %v", next)
	}
}

// The wall clock is set back by an hour, and the monotonic clock goes on.
func TestTheWallClockMayJump(t *testing.T) {
	now := time.Now()
	s := newSchedule(now, s20, 0)
	if s.due.Round(0).Equal(s.due) && s.due.String() == s.due.Round(0).String() {
		t.Fatal("the schedule has lost the monotonic clock")
	}
	for i := 0; i < 10; i++ {
		now = now.Add(s20)
		next := s.next(now)
		if next.String() == next.Round(0).String() {
			t.Fatalf("report %d: the schedule has lost the monotonic clock", i)
		}
	}
}

// A thousand dynos that start in the same second do not report in the same
// second. Evenly spread there are 50 in each; 100 are seven standard
// deviations away.
func TestAFleetIsSpreadOverTheInterval(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	var inSecond [20]int
	for dyno := 0; dyno < 1000; dyno++ {
		started := t0.Add(time.Duration(r.Int63n(int64(time.Second))))
		s := newSchedule(started, s20, random())
		var due time.Time
		for i := 0; i < 3*60*24; i++ { // a day later
			due = started.Add(s.wait(started))
			s.next(due)
		}
		inSecond[due.Sub(t0)/time.Second%20]++
	}
	for second, n := range inSecond {
		if n > 100 || n < 10 {
			t.Errorf("%d of 1000 dynos report in second %d of 20", n, second)
		}
	}
}
