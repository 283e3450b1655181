// Command serve runs the endpoint that stands in for Heroku's metrics service and a
// Collector, and its page, for apps that run elsewhere: by hand, in a container, on a
// staging machine. See its -h.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/cli/browser"

	"github.com/hmetrics/heroku-buildpack-go-metrics/internal/endpoint"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/machine"
	"github.com/hmetrics/heroku-buildpack-go-metrics/test/page"
)

const help = `Serve an endpoint for apps that run elsewhere, and a page that shows their reports.

Usage: go run ./test/serve [flags] [PROCESS...]

It prints the variables to set for each process (default web): HEROKU_METRICS_URL for
reports, OTEL_EXPORTER_OTLP_METRICS_ENDPOINT for exports by OTLP. To see them sooner,
set HMETRICS_INTERVAL=2s and OTEL_METRIC_EXPORT_INTERVAL=2000. Give each process its
own URLs: if two share one, their counts mix. To stop, press Ctrl-C.

Example:

	go run ./test/serve -addr :9000 web worker

Exit status: 0 if it was stopped, 1 if it cannot serve, 2 if the command line is wrong.`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "serve:", err)
	if errors.Is(err, errUsage) {
		os.Exit(2)
	}
	os.Exit(1)
}

var errUsage = errors.New("the command line is wrong")

// run serves until ctx is done.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	addr := fs.String("addr", "127.0.0.1:0", "receive at this `address`; :9000 is open to other machines")
	pageAddr := fs.String("page", "127.0.0.1:0", "serve the page at this `address`")
	open := fs.Bool("open", false, "show the page in a browser")
	if err := machine.ParseFlags(fs, args, stdout, help); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return fmt.Errorf("%w: %v", errUsage, err)
	}
	names := fs.Args()
	if len(names) == 0 {
		names = []string{"web"}
	}
	if len(names) > page.MaxProcesses {
		return fmt.Errorf("%w: %d processes; the page shows %d", errUsage, len(names), page.MaxProcesses)
	}
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("%w: %q twice, and two processes cannot share an address", errUsage, name)
		}
	}
	ln, err := net.Listen("tcp", *pageAddr)
	if err != nil {
		return fmt.Errorf("serving the page: %w", err)
	}
	sw := &endpoint.Switch{}
	server, err := endpoint.Start(endpoint.Options{Addr: *addr, Fault: sw.Fault})
	if err != nil {
		ln.Close()
		return err
	}
	defer server.Close()
	p := page.Start(page.Options{Listener: ln, Server: server, Switch: sw, Processes: names})
	defer p.Close()
	fmt.Fprintf(stdout, "page: %s\n", p.URL())
	for _, name := range names {
		fmt.Fprintf(stdout, "%s: HEROKU_METRICS_URL=%s\n", name, reachable(server.URL(name)))
		fmt.Fprintf(stdout, "%s: OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=%s\n", name, reachable(server.OTLPURL(name)))
	}
	if *open {
		if err := browser.OpenURL(p.URL()); err != nil {
			fmt.Fprintln(stderr, "serve: opening a browser:", err)
		}
	}
	<-ctx.Done()
	return nil
}

// reachable replaces an address that stands for all of this machine's with one of them.
func reachable(address string) string {
	u, err := url.Parse(address)
	if err != nil || !net.ParseIP(u.Hostname()).IsUnspecified() {
		return address
	}
	host := "127.0.0.1"
	if c, err := net.Dial("udp", "192.0.2.1:9"); err == nil { // this sends nothing
		defer c.Close()
		host = c.LocalAddr().(*net.UDPAddr).IP.String()
	}
	u.Host = net.JoinHostPort(host, u.Port())
	return u.String()
}
