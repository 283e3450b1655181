package endpoint

import "sync"

// A Switch answers every request with the fault that it is set to. Its method Fault is for
// Options.Fault. The zero value has no fault, and all methods may be used concurrently.
type Switch struct {
	mu    sync.Mutex
	fault Fault
}

// Set sets the fault for requests from now on. The zero Fault means a healthy server.
func (s *Switch) Set(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault = f
}

// Now returns the current fault.
func (s *Switch) Now() Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// Fault returns what Now does.
func (s *Switch) Fault(Request) Fault { return s.Now() }
