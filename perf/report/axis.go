package report

import (
	"math"
	"strconv"
	"strings"
)

// Axis says what a chart's axis shows, and how.
type Axis struct {
	Label string
	Log   bool // equal distances are equal factors; what is not positive is left out
	Zero  bool // begins at 0, so that heights compare
	Tight bool // ends where the values do, not at the next tick
	Names []Tick
	Write func(v float64) string // writes a tick; nil: number
}

// Tick is a place on an axis with its text.
type Tick struct {
	At   float64
	Text string
}

// scale maps values to places, and knows where its ticks are.
type scale struct {
	lo, hi   float64
	from, to float64 // pixels
	log      bool
	ticks    []Tick
}

// newScale fits an axis around values between lo and hi.
func newScale(a Axis, lo, hi, from, to float64) scale {
	s := scale{lo: lo, hi: hi, from: from, to: to, log: a.Log}
	write := a.Write
	if write == nil {
		write = number
	}
	switch {
	case a.Names != nil:
		s.ticks = a.Names
		s.lo, s.hi = math.Min(lo, a.Names[0].At), math.Max(hi, a.Names[len(a.Names)-1].At)
	case a.Log:
		s.lo, s.hi = math.Pow(10, math.Floor(math.Log10(lo))), math.Pow(10, math.Ceil(math.Log10(hi)))
		if s.lo == s.hi {
			s.hi *= 10
		}
		for v := s.lo; v <= s.hi*1.001; v *= 10 {
			s.ticks = append(s.ticks, Tick{v, write(v)})
		}
	default:
		if a.Zero {
			s.lo = math.Min(0, lo)
		}
		if s.hi <= s.lo {
			s.hi = s.lo + 1
		}
		step := niceStep((s.hi - s.lo) / 5)
		first := math.Floor(s.lo / step)
		if a.Tight {
			first = math.Ceil(s.lo / step)
		} else {
			s.lo, s.hi = first*step, math.Ceil(s.hi/step)*step
		}
		for i := 0.0; ; i++ {
			v := (first + i) * step
			if v > s.hi*(1+1e-9) {
				break
			}
			s.ticks = append(s.ticks, Tick{v, write(v)})
		}
	}
	return s
}

// at is the pixel of a value.
func (s *scale) at(v float64) float64 {
	lo, hi := s.lo, s.hi
	if s.log {
		lo, hi, v = math.Log(lo), math.Log(hi), math.Log(v)
	}
	return s.from + (v-lo)/(hi-lo)*(s.to-s.from)
}

// niceStep is the step of 1, 2 or 5 times a power of ten that is not below v.
func niceStep(v float64) float64 {
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if v <= m*p*1.0001 {
			return m * p
		}
	}
	return 10 * p
}

// number writes a value with three digits and a thousands' letter.
func number(v float64) string {
	if v == 0 {
		return "0"
	}
	abs, sign := math.Abs(v), ""
	if v < 0 {
		sign = "−"
	}
	for _, u := range []struct {
		size float64
		name string
	}{{1e12, " T"}, {1e9, " G"}, {1e6, " M"}, {1e3, " k"}} {
		if abs >= u.size*0.9995 {
			return sign + digits(abs/u.size) + u.name
		}
	}
	return sign + digits(abs)
}

// milliseconds writes a time that is given in them.
func milliseconds(v float64) string {
	switch {
	case v >= 999.5:
		return number(v/1000) + " s"
	case v > 0 && v < 0.9995:
		return number(v*1000) + " µs"
	}
	return number(v) + " ms"
}

// digits writes a number below 1,000 with three digits that count.
func digits(v float64) string {
	decimals := 0
	switch {
	case v < 0.0995:
		return strconv.FormatFloat(v, 'g', 2, 64)
	case v < 9.995:
		decimals = 2
	case v < 99.95:
		decimals = 1
	}
	s := strconv.FormatFloat(v, 'f', decimals, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
