package page

import "net/url"

// A span is how far back the charts go.
type span struct {
	ID, Label string
	reach     int // reports
}

var spans = []span{{"recent", "Last 120 reports", maxColumns}, {"all", "All that are kept", keepReports}}

const maxColumns = 120

func spanOf(q url.Values) span {
	for _, s := range spans {
		if s.ID == q.Get("span") {
			return s
		}
	}
	return spans[0]
}
