package page

import "github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"

// A choice is a fault that the page has a button for.
type choice struct {
	Name, Label, Is string
	fault           endpoint.Fault
}

// faults are the buttons. The first one stands for none.
var faults = []choice{
	{"none", "accepts", "200, as Heroku does", endpoint.Fault{}},
	choose("503", "503", "Service Unavailable", endpoint.Status(503)),
	choose("429", "429", "Too Many Requests, come back in 1 s", endpoint.Status(429, "Retry-After", "1")),
	choose("hang", "hangs", "reads the report and never answers", endpoint.BlackHole()),
	choose("reset", "resets", "reads the report and resets the connection", endpoint.ResetRead()),
}

func choose(name, label, is string, f endpoint.Fault) choice {
	f.Name = name
	return choice{name, label, is, f}
}
