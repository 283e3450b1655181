//go:build race

package start

import "runtime"

// afterMain tells the race detector that what main did so far happens before what this
// goroutine does from now on: the detector orders a finalizer after all earlier work of
// other goroutines. Otherwise it would report a race in time.Local = time.UTC at the
// beginning of main, and end the program.
func afterMain() {
	after := make(chan bool)
	runtime.SetFinalizer(new([4]*byte), func(*[4]*byte) { close(after) })
	runtime.GC()
	<-after
}
