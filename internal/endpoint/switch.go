package endpoint

import "sync"

// A Switch answers every request with the fault that it is set to, at first with
// none. Its method Fault is for Options.Fault. The zero value is ready, and all
// methods may be used concurrently.
type Switch struct {
	mu    sync.Mutex
	fault Fault
}

// Set has the requests that come from now on answered with f. The zero Fault
// stands for a healthy server.
func (s *Switch) Set(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Now returns the fault that the Switch is set to.
func (s *Switch) Now() Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// Fault returns what Now does.
func (s *Switch) Fault(Request) Fault { return s.Now() }
