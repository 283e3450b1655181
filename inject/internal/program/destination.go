package program

const (
	// Module is the module path of the buildpack.
	Module = "github.com/hmetrics/heroku-buildpack-go-metrics"

	// InjectionSetting is the key of a program's build information for the ID of the
	// stage that its agent comes from.
	InjectionSetting = "hmetrics.injection"
)

// A Destination is where the agent reports to. If a program imports a package that reports
// there by itself, its counts would double.
type Destination struct {
	Name      string
	Reporters []string // import paths of such packages
	Variable  string   // of the agent's package start: the reporter in the program
	Setting   string   // key of the build information for the same
	unless    string   // what makes the agent report anyway
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

// Quiet returns the text that says that the agent sends nothing to d, and why.
func (d Destination) Quiet(reporter string) string {
	return "; sends nothing to " + d.Name + d.unless + ", because the program links " + reporter
}
