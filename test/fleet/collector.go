package main

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
)

// startCollector starts the Collector with the README's configuration, of which it
// sets where to listen and where Prometheus is, and what else is to be set. It returns
// the address at which the Collector listens.
func (l *launcher) startCollector(ctx context.Context, host string, set ...string) (*program, string, error) {
	address, err := free(host)
	if err != nil {
		return nil, "", err
	}
	file := filepath.Join(l.tmp, "collector.yaml")
	if err := os.WriteFile(file, []byte(l.readme.config), 0o666); err != nil {
		return nil, "", err
	}
	argv := []string{l.bin("collector"), "--config=" + file}
	for _, s := range append(set, "receivers.otlp.protocols.http.endpoint="+address, "exporters.otlp_http.endpoint="+l.prometheus.url+"/api/v1/otlp") {
		argv = append(argv, "--set="+s)
	}
	p, err := start(ctx, "Everything is ready.", l.tmp, nil, argv...)
	return p, address, err
}

// A balancer is an address that stays while what is behind it moves: it passes
// connections on, as a load balancer does.
type balancer struct {
	net.Listener
	to atomic.Value // string
}

func (b *balancer) run() {
	for {
		from, err := b.Accept()
		if err != nil {
			return
		}
		go func() {
			defer from.Close()
			to, err := net.Dial("tcp", b.to.Load().(string))
			if err != nil {
				return
			}
			defer to.Close()
			go io.Copy(to, from)
			io.Copy(from, to)
		}()
	}
}
