package endpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// A Report is one accepted report.
type Report struct {
	Process  string
	Received time.Time

	// Counters: what happened since the process's last acknowledged report.
	Collections float64 // go.gc.collections, garbage collections completed
	PauseNS     float64 // go.gc.pause.ns, stop-the-world time of the collector, ns

	// Gauges: values at the time of the report.
	HeapBytes   float64 // go.memory.heap.bytes, allocated heap objects
	StackBytes  float64 // go.memory.stack.bytes, stack spans
	HeapObjects float64 // go.memory.heap.objects, live objects
	GCGoal      float64 // go.gc.goal, heap size at which the next collection starts, bytes
	Goroutines  float64 // go.routines

	Body []byte // the document as received
}

// Parse parses a report's document. It must contain exactly the keys that Heroku's service
// knows, each once, with a finite number that is not negative, and nothing after the object.
func Parse(body []byte) (Report, error) {
	r := Report{Body: body}
	groups := map[string]map[string]*float64{
		"counters": {
			"go.gc.collections": &r.Collections,
			"go.gc.pause.ns":    &r.PauseNS,
		},
		"gauges": {
			"go.memory.heap.bytes":   &r.HeapBytes,
			"go.memory.stack.bytes":  &r.StackBytes,
			"go.memory.heap.objects": &r.HeapObjects,
			"go.gc.goal":             &r.GCGoal,
			"go.routines":            &r.Goroutines,
		},
	}
	if !json.Valid(body) {
		return Report{}, errors.New("the body is not one JSON document")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	err := object(dec, "the document", func(group string) error {
		fields, ok := groups[group]
		if !ok {
			return fmt.Errorf("unexpected or repeated key %q", group)
		}
		delete(groups, group)
		err := object(dec, strconv.Quote(group), func(key string) error {
			dst, ok := fields[key]
			if !ok {
				return fmt.Errorf("unexpected or repeated key %q in %q", key, group)
			}
			delete(fields, key)
			return number(dec, key, dst)
		})
		if err != nil {
			return err
		}
		for key := range fields {
			return fmt.Errorf("%q lacks the key %q", group, key)
		}
		return nil
	})
	if err != nil {
		return Report{}, err
	}
	for group := range groups {
		return Report{}, fmt.Errorf("the document lacks the key %q", group)
	}
	return r, nil
}

// object reads a JSON object from dec and calls member at each key's value.
// encoding/json is not strict enough: it accepts repeated keys and keys in another case.
func object(dec *json.Decoder, what string, member func(key string) error) error {
	t, err := dec.Token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return fmt.Errorf("%s is not an object", what)
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		if err := member(key.(string)); err != nil {
			return err
		}
	}
	_, err = dec.Token()
	return err
}

func number(dec *json.Decoder, key string, dst *float64) error {
	t, err := dec.Token()
	if err != nil && err != io.EOF {
		return err
	}
	n, ok := t.(json.Number)
	if !ok {
		return fmt.Errorf("%q is not a number", key)
	}
	v, err := n.Float64()
	if err != nil || strings.HasPrefix(n.String(), "-") {
		return fmt.Errorf("%q is %s, not a finite number from 0 up", key, n)
	}
	*dst = v
	return nil
}
