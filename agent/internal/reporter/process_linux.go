package reporter

import (
	"net"
	"os"
	"runtime"
	"syscall"
	"time"
)

// Pause sleeps in the kernel. A timer would open the runtime's epoll descriptor, and an app
// that begins by closing inherited descriptors would close that too.
func Pause(d time.Duration) {
	for left := syscall.NsecToTimespec(int64(d)); syscall.Nanosleep(&left, &left) == syscall.EINTR; {
	}
}

// randomDenied returns an error if the kernel denies random numbers to this process. Since
// Go 1.24, crypto/tls ends the process then.
func randomDenied() error {
	getrandom, known := map[string]uintptr{"amd64": 318, "arm64": 278}[runtime.GOARCH]
	if !known {
		return nil
	}
	_, _, errno := syscall.Syscall(getrandom, 0, 0, 0)
	if errno == 0 || errno == syscall.ENOSYS && syscall.Access("/dev/urandom", 4) == nil { // Go reads that instead
		return nil
	}
	return os.NewSyscallError("getrandom", errno)
}

// quiet is a connection whose writes raise no SIGPIPE, which an app may listen to.
type quiet struct {
	net.Conn
	raw syscall.RawConn
}

func withoutSignals(tcp *net.TCPConn) (net.Conn, error) {
	raw, err := tcp.SyscallConn()
	return quiet{tcp, raw}, err
}

func (q quiet) Write(b []byte) (written int, err error) {
	failed := q.raw.Write(func(fd uintptr) bool {
		for err = nil; written < len(b) && (err == nil || err == syscall.EINTR); {
			var n int
			n, err = syscall.SendmsgN(int(fd), b[written:], nil, nil, syscall.MSG_NOSIGNAL)
			written += n
		}
		return err != syscall.EAGAIN
	})
	if failed == nil && err != nil {
		failed = &net.OpError{Op: "write", Net: "tcp", Addr: q.RemoteAddr(), Err: os.NewSyscallError("sendmsg", err)}
	}
	return written, failed
}
