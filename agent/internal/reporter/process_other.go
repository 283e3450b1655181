//go:build !linux

package reporter

import (
	"net"
	"time"
)

func Pause(d time.Duration) { time.Sleep(d) }

func randomDenied() error { return nil }

func withoutSignals(tcp *net.TCPConn) (net.Conn, error) { return tcp, nil }
