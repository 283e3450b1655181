//go:build race

package start

import "runtime"

// afterMain has the race detector know that what main has done so far comes before
// what this goroutine does from now on: it takes a finalizer to run after all that
// other goroutines have done before. Without that it would see a race in
// time.Local = time.UTC at the beginning of main, and end the program.
func afterMain() {
	after := make(chan bool)
	runtime.SetFinalizer(new([4]*byte), func(*[4]*byte) { close(after) })
	runtime.GC()
	<-after
}
