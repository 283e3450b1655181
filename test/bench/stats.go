package main

import (
	"math"
	"sort"
)

// median returns the middle of the values, NaN if there are none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	v := append([]float64{}, values...)
	sort.Float64s(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// A summary is what the pairs of a row come to. The spread, from low to high,
// is a confidence interval of the median: 94 % with five pairs, 97 % with six.
type summary struct {
	pairs     int
	a, b      float64 // medians of both sides
	mid       float64 // median of what compares the sides of a pair
	low, high float64
}

func summarise(pairs [][2]float64, compare func(a, b float64) float64) summary {
	var as, bs, cs []float64
	for _, p := range pairs {
		as, bs, cs = append(as, p[0]), append(bs, p[1]), append(cs, compare(p[0], p[1]))
	}
	s := summary{pairs: len(pairs), a: median(as), b: median(bs), mid: median(cs), low: math.NaN(), high: math.NaN()}
	if len(cs) > 0 {
		sort.Float64s(cs)
		s.low, s.high = cs[0], cs[len(cs)-1]
	}
	return s
}

// quantile returns the value below which the part q of the values lies. It
// sorts them.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sort.Float64s(values)
	i := int(math.Ceil(q*float64(len(values)))) - 1
	if i < 0 {
		i = 0
	}
	return values[i]
}
