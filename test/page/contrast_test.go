package page

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// In both schemes text and lines stand out from what is behind them, as far as WCAG
// asks for.
func TestContrast(t *testing.T) {
	b, err := files.ReadFile("page.css")
	if err != nil {
		t.Fatal(err)
	}
	for scheme := 1; scheme <= 2; scheme++ {
		luminance := map[string]float64{}
		for _, m := range regexp.MustCompile(`--([a-z-]+): light-dark\(#([0-9a-f]{6})[0-9a-f]*, #([0-9a-f]{6})[0-9a-f]*\);`).FindAllStringSubmatch(string(b), -1) {
			rgb, _ := strconv.ParseUint(m[1+scheme], 16, 32)
			for i, weight := range []float64{.0722, .7152, .2126} {
				c := float64(rgb>>(8*i)&0xff) / 255
				if c <= .03928 {
					c /= 12.92
				} else {
					c = math.Pow((c+.055)/1.055, 2.4)
				}
				luminance[m[1]] += weight * c
			}
		}
		for _, pair := range strings.Fields("7:ink/panel 7:ink/ground 7:ink/good-wash 7:ink/bad-wash 4.5:soft/panel 4.5:soft/ground 4.5:soft/good-wash " +
			"4.5:soft/bad-wash 4.5:good/good-wash 4.5:bad/bad-wash 4.5:bad/panel 4.5:one/panel 3:two/panel 3:good/panel 3:focus/panel") {
			least, colours, _ := strings.Cut(pair, ":")
			front, behind, _ := strings.Cut(colours, "/")
			want, err := strconv.ParseFloat(least, 64)
			f, ok := luminance[front]
			b, ok2 := luminance[behind]
			if got := (max(f, b) + .05) / (min(f, b) + .05); got < want || !ok || !ok2 || err != nil {
				t.Errorf("scheme %d: the contrast of %s is %.1f", scheme, pair, got)
			}
		}
	}
}
