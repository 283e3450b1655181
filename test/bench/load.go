package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// How an app is loaded.
const (
	requestRate = 500 // a second
	loadTime    = 20 * time.Second
	warmUp      = 2 * time.Second
	connections = 16
)

// load sends GET requests at a steady rate and returns for each how long after
// the moment that it was due its answer was read, in seconds. A request that
// has to wait for a connection because the app is slow is not sent late without
// that being counted. The answers of the warm-up are not among them.
func load(ctx context.Context, url string, rate int, duration time.Duration) ([]float64, error) {
	client := &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections},
	}
	defer client.CloseIdleConnections()
	total := int((warmUp + duration).Seconds() * float64(rate))
	skip := int(warmUp.Seconds() * float64(rate))
	times := make([]float64, total)
	due := make(chan int, total)
	var mu sync.Mutex
	var failed error
	fail := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if failed == nil {
			failed = err
		}
	}
	start := time.Now()
	at := func(i int) time.Time { return start.Add(time.Duration(i) * time.Second / time.Duration(rate)) }
	var workers sync.WaitGroup
	for w := 0; w < connections; w++ {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := range due {
				if err := get(ctx, client, url); err != nil {
					fail(err)
					continue
				}
				times[i] = time.Since(at(i)).Seconds()
			}
		}()
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for i := 0; i < total && ctx.Err() == nil; i++ {
		if wait := time.Until(at(i)); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
			}
		}
		due <- i
	}
	close(due)
	workers.Wait()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if failed != nil {
		return nil, fmt.Errorf("loading %s: %w", url, failed)
	}
	return times[skip:], nil
}

func get(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %s", resp.Status)
	}
	return nil
}
