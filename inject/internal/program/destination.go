package program

const (
	// Module is the module path of the buildpack.
	Module = "github.com/hmetrics/heroku-buildpack-go-metrics"

	// InjectionSetting is the key under which a program's build information holds the
	// ID of the stage that its agent is from.
	InjectionSetting = "hmetrics.injection"
)

// A Destination is where the agent reports to. A program that imports a package which
// reports there by itself would be counted twice.
type Destination struct {
	Name      string
	Reporters []string // import paths of such packages
	Variable  string   // of the agent's package start: the reporter in the program
	Setting   string   // key of the build information's settings, for the same
	unless    string   // what has the agent report all the same
}

// Heroku is Heroku's metrics service, and OTLP any OpenTelemetry backend.
var (
	Heroku = Destination{
		Name:      "Heroku",
		Reporters: []string{"github.com/heroku/x/hmetrics", "go.pennock.tech/hmetrics", Module + "/agent"},
		Variable:  "herokuReporter",
		Setting:   "hmetrics.off",
	}
	OTLP = Destination{
		Name:      "OTLP",
		Reporters: []string{"go.opentelemetry.io/contrib/instrumentation/runtime", Module + "/agent/onload"},
		Variable:  "otlpReporter",
		Setting:   "hmetrics.off.otlp",
		unless:    " unless OTEL_METRICS_EXPORTER=otlp is set",
	}
	Destinations = []Destination{Heroku, OTLP}
)

// Quiet says to which destination nothing is sent, and why.
func (d Destination) Quiet(reporter string) string {
	return "; sends nothing to " + d.Name + d.unless + ", because the program links " + reporter
}
