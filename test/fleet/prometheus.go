package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// A prometheus is a Prometheus that runs.
type prometheus struct {
	*program
	url string
	api v1.API
}

// startPrometheus starts Prometheus as the README has it, with an empty configuration.
func (l *launcher) startPrometheus(ctx context.Context) (*prometheus, error) {
	address, err := free("127.0.0.1")
	if err != nil {
		return nil, err
	}
	config := filepath.Join(l.tmp, "prometheus.yml")
	if err := os.WriteFile(config, nil, 0o666); err != nil {
		return nil, err
	}
	client, err := api.NewClient(api.Config{Address: "http://" + address})
	if err != nil {
		return nil, err
	}
	p, err := start(ctx, "Server is ready to receive web requests.", l.tmp, nil, l.bin("prometheus"), "--web.enable-otlp-receiver",
		"--config.file="+config, "--storage.tsdb.path="+filepath.Join(l.tmp, "tsdb"), "--web.listen-address="+address)
	return &prometheus{p, "http://" + address, v1.NewAPI(client)}, err
}

// ask evaluates PromQL, and fails if Prometheus has something to remark.
func (p *prometheus) ask(ctx context.Context, promql string) (model.Vector, error) {
	value, warnings, infos, err := p.api.Query(ctx, promql, time.Now())
	vector, ok := value.(model.Vector)
	if err != nil || len(warnings)+len(infos) > 0 || !ok {
		return nil, fmt.Errorf("%s: %v, %v, %v, %v", promql, value, warnings, infos, err)
	}
	return vector, nil
}
