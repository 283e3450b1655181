package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sort"
	"sync"
	"syscall"
	"time"
)

// traps replaces what the standard library lets a program set for the whole process,
// and hears of each use.
type traps struct {
	mu   sync.Mutex
	used map[string]bool
}

var errTrap = errors.New("a trap")

func (t *traps) use(name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.used[name] = true
	return errTrap
}

// sprung returns what was used since it was asked last.
func (t *traps) sprung() (names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for name := range t.used {
		names = append(names, name)
	}
	sort.Strings(names)
	t.used = map[string]bool{}
	return names
}

type trap struct {
	*traps
	name string
}

func (t trap) Read([]byte) (int, error)                              { return 0, t.use(t.name) }
func (t trap) Write([]byte) (int, error)                             { return 0, t.use(t.name) }
func (t trap) RoundTrip(*http.Request) (*http.Response, error)       { return nil, t.use(t.name) }
func (t trap) dial(_ context.Context, _, _ string) (net.Conn, error) { return nil, t.use(t.name) }

// runWithTraps prints what was used until standard input ends, and then, to show that
// the traps work, what is used when the program itself uses each.
func runWithTraps() {
	// As programs do that close what they may have inherited.
	for began := time.Now(); time.Since(began) < 20*time.Millisecond; {
	}
	for fd := 3; fd < 256; fd++ {
		syscall.Close(fd)
	}
	stdin, stdout := os.Stdin, os.Stdout
	t := &traps{used: map[string]bool{}}
	http.DefaultTransport = trap{t, "http.DefaultTransport"}
	http.DefaultClient = &http.Client{Transport: trap{t, "http.DefaultClient"}}
	http.DefaultServeMux, flag.CommandLine = nil, nil
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: trap{t, "net.DefaultResolver"}.dial}
	rand.Reader = trap{t, "rand.Reader"}
	log.SetOutput(trap{t, "log"}) // and that of log/slog
	time.Local = time.FixedZone("trap", 3600)
	for name, file := range map[string]**os.File{"os.Stdout": &os.Stdout, "os.Stderr": &os.Stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			panic(err)
		}
		*file = w
		name := name
		go func() {
			for in := bufio.NewReader(r); ; t.use(name) {
				if _, err := in.ReadByte(); err != nil {
					return
				}
			}
		}()
	}
	signals := make(chan os.Signal, 100)
	signal.Notify(signals)
	go func() {
		for s := range signals {
			if s != syscall.SIGURG { // the runtime's own
				t.use("signal " + s.String())
			}
		}
	}()

	io.Copy(io.Discard, stdin)
	fmt.Fprintln(stdout, "used:", t.sprung())

	fmt.Print("x")
	fmt.Fprint(os.Stderr, "x")
	log.Print("x")
	_, _ = rand.Reader.Read(make([]byte, 1))
	_, _ = net.LookupHost("trap.test")
	_, _ = http.Get("http://trap.test")
	_, _ = (&http.Client{}).Get("http://trap.test")
	_ = syscall.Kill(syscall.Getpid(), syscall.SIGPIPE)
	time.Sleep(time.Second) // the files' and the signal's come by themselves
	fmt.Fprintln(stdout, "by the program:", t.sprung(), time.Local)
}
