package page

import (
	"encoding/xml"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	chart "github.com/wcharczuk/go-chart/v2"

	"github.com/hmetrics/heroku-buildpack-go-metrics/agent/endpoint"
)

// elements returns what an SVG consists of, or fails if it is not well formed.
func elements(t *testing.T, svg string) (names map[string]int, texts []string) {
	t.Helper()
	names = map[string]int{}
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return names, texts
		}
		if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
		switch token := token.(type) {
		case xml.StartElement:
			names[token.Name.Local]++
			for _, a := range token.Attr {
				if a.Name.Local == "style" || strings.HasPrefix(a.Name.Local, "on") {
					t.Errorf("<%s> has the attribute %s, which the page's policy forbids", token.Name.Local, a.Name.Local)
				}
			}
		case xml.CharData:
			texts = append(texts, string(token))
		}
	}
}

func TestDraw(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	var cols []column
	for i, v := range []float64{0, 5, math.MaxFloat64, math.SmallestNonzeroFloat64, 1 << 40} {
		cols = append(cols, column{N: i + 1, Of: 1, Report: endpoint.Report{
			Received: at.Add(time.Duration(i) * time.Second), Collections: v, PauseNS: v, HeapBytes: v, StackBytes: v, HeapObjects: v, GCGoal: v, Goroutines: v,
		}})
	}
	for _, f := range figures {
		for n := 0; n <= len(cols); n++ {
			svg, err := f.draw(cols[:n])
			if err != nil {
				t.Fatal(err)
			}
			names, texts := elements(t, string(svg))
			if names["rect"] != n || names["title"] != n {
				t.Errorf("%s of %d reports has %d places to point at, and %d values", f.ID, n, names["rect"], names["title"])
			}
			all := strings.Join(texts, "\n")
			if strings.Contains(all, "NaN") || strings.Contains(string(svg), "-9223372036854775808") {
				t.Errorf("%s of %d reports: %s", f.ID, n, svg)
			}
			if n > 0 && !strings.Contains(all, "12:00:0"+string(rune('0'+n-1))+"  ") {
				t.Errorf("%s of %d reports says %s", f.ID, n, all)
			}
		}
	}
}

func TestSays(t *testing.T) {
	c := column{N: 7, Of: 1, Report: endpoint.Report{Received: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC), HeapBytes: 1 << 20, GCGoal: 4 << 20}}
	if got, want := figures[0].says(c, 0), "12:00:00  heap 1.0 MiB, GC goal 4.0 MiB"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	c.Of = 30
	if got, want := figures[0].says(c, 7*time.Second), "12:00:00, after 7 s of silence, highest of 30  heap 1.0 MiB, GC goal 4.0 MiB"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSilences(t *testing.T) {
	at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	var cols []column
	for _, s := range []time.Duration{0, 20, 40, 61, 100, 120, 140} {
		cols = append(cols, column{Report: endpoint.Report{Received: at.Add(s * time.Second)}})
	}
	for n := 0; n <= len(cols); n++ {
		for j, d := range silences(cols[:n]) {
			if want := map[int]time.Duration{4: 39 * time.Second}[j]; d != want {
				t.Errorf("of %d columns, column %d comes after a silence of %v, want %v", n, j, d, want)
			}
		}
	}
}

// The library does not escape text: this package has to.
func TestDrawEscapes(t *testing.T) {
	inner, err := chart.SVG(10, 10)
	if err != nil {
		t.Fatal(err)
	}
	const evil = `</text><script>alert("1")</script>&`
	text(escaping{inner}, "axis", 0, 0, evil)
	var b strings.Builder
	if err := inner.Save(&b); err != nil {
		t.Fatal(err)
	}
	names, texts := elements(t, b.String())
	if names["script"] > 0 || strings.Join(texts, "") != evil {
		t.Errorf("got %s", b.String())
	}
}

func TestTicks(t *testing.T) {
	for _, tt := range []struct {
		figure int
		most   float64
		want   string
	}{
		{0, 0, "0 B 1 B"},
		{0, 4.2e6, "0 B 2.0 MiB 4.0 MiB 6.0 MiB"},
		{0, 4 << 20, "0 B 1.0 MiB 2.0 MiB 3.0 MiB 4.0 MiB"},
		{1, 1, "0 1"},
		{1, 3, "0 1 2 3"},
		{1, 17, "0 5 10 15 20"},
		{2, 0, "0s 500ns 1µs"},
		{2, 345678, "0s 100µs 200µs 300µs 400µs"},
		{4, 70000, "0 20,000 40,000 60,000 80,000"},
	} {
		f := figures[tt.figure]
		var got []string
		for _, v := range f.ticks(tt.most) {
			got = append(got, f.Format(v))
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s up to %v is divided %s, want %s", f.ID, tt.most, s, tt.want)
		}
	}
}

func BenchmarkDraw(b *testing.B) {
	h := filled(120)
	cols := h.columns(120, 120)
	for i := 0; i < b.N; i++ {
		if _, err := figures[0].draw(cols); err != nil {
			b.Fatal(err)
		}
	}
}
