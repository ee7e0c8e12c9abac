package report

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
)

// Chart is a drawing of lines or dots over two axes.
type Chart struct {
	Title string
	X, Y  Axis
	Lines []Line
	Bands []Band
}

// Line is a series of points in rising order of X.
type Line struct {
	Name   string
	Points []Point
	Dots   bool // points alone
	Dashed bool
	Marks  bool // points on the line
}

// Point is a value at a place.
type Point struct{ X, Y float64 }

// Band is a stretch of the X axis with a name, such as a phase.
type Band struct {
	From, To float64
	Name     string
}

// The drawing's measures, in pixels of its own coordinates; the page scales it.
const (
	width, height             = 600.0, 320.0
	left, right, top, bottom  = 76.0, 30.0, 30.0, 46.0
	legendLine, legendAdvance = 18.0, 6.6 // a legend's letter is about so wide
)

// draw returns a chart as SVG; it says so where there is nothing to draw.
func (c *Chart) draw() template.HTML {
	xs, ys := extent(c.Lines, c.X.Log, c.Y.Log)
	if math.IsInf(xs[0], 0) {
		return template.HTML(`<p class="none">The results hold nothing to draw here.</p>`)
	}
	for _, b := range c.Bands {
		xs[0], xs[1] = math.Min(xs[0], b.From), math.Max(xs[1], b.To)
	}
	rows := c.legendRows()
	head := top + legendLine*float64(rows-1)
	x := newScale(c.X, xs[0], xs[1], left, width-right)
	y := newScale(c.Y, ys[0], ys[1], height+head-top-bottom, head)
	var b strings.Builder
	total := height + head - top
	fmt.Fprintf(&b, `<svg viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">`, width, total, html.EscapeString(c.Title))
	for _, band := range c.Bands {
		from, to := x.at(band.From), x.at(band.To)
		fmt.Fprintf(&b, `<rect class="band" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, from, y.to, math.Max(0, to-from), y.from-y.to)
		if to-from > 7*float64(len(band.Name)) {
			fmt.Fprintf(&b, `<text class="tick" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, (from+to)/2, y.to+14, html.EscapeString(band.Name))
		}
	}
	for _, t := range y.ticks {
		fmt.Fprintf(&b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/><text class="tick" x="%.1f" y="%.1f" text-anchor="end">%s</text>`,
			x.from, x.to, y.at(t.At), y.at(t.At), x.from-8, y.at(t.At)+4, html.EscapeString(t.Text))
	}
	for _, t := range x.ticks {
		fmt.Fprintf(&b, `<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/><text class="tick" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`,
			x.at(t.At), x.at(t.At), y.from, y.from+4, x.at(t.At), y.from+18, html.EscapeString(t.Text))
	}
	fmt.Fprintf(&b, `<text class="label" x="%.1f" y="%.1f" text-anchor="middle">%s</text>`, (x.from+x.to)/2, total-8, html.EscapeString(c.X.Label))
	fmt.Fprintf(&b, `<text class="label" transform="translate(12 %.1f) rotate(-90)" text-anchor="middle">%s</text>`, (y.from+y.to)/2, html.EscapeString(c.Y.Label))
	for i := range c.Lines {
		c.Lines[i].draw(&b, i, &x, &y)
	}
	c.legend(&b)
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// draw draws one line; colors are the page's classes s0 to s7.
func (l *Line) draw(b *strings.Builder, i int, x, y *scale) {
	class := fmt.Sprintf("s%d", i%colors)
	var path strings.Builder
	for _, p := range l.Points {
		if x.log && p.X <= 0 || y.log && p.Y <= 0 {
			continue
		}
		px, py := x.at(p.X), y.at(p.Y)
		if l.Dots || l.Marks {
			fmt.Fprintf(b, `<circle class="%s" cx="%.1f" cy="%.1f" r="3"><title>%s: %s, %s</title></circle>`, class, px, py,
				html.EscapeString(l.Name), number(p.X), number(p.Y))
		}
		fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(1, path.Len())], px, py)
	}
	if !l.Dots {
		dash := ""
		if l.Dashed {
			dash = ` stroke-dasharray="5 4"`
		}
		fmt.Fprintf(b, `<path class="line %s" d="%s"%s/>`, class, path.String(), dash)
	}
}

const colors = 8

// legendRows is how many rows the legend takes; at least one, to keep clear of the page above.
func (c *Chart) legendRows() int {
	at, rows := left, 1
	for _, l := range c.Lines {
		w := legendWidth(l.Name)
		if at+w > width-right && at > left {
			at, rows = left, rows+1
		}
		at += w
	}
	return rows
}

func legendWidth(name string) float64 { return 34 + legendAdvance*float64(len([]rune(name))) }

func (c *Chart) legend(b *strings.Builder) {
	at, row := left, 12.0
	for i, l := range c.Lines {
		w := legendWidth(l.Name)
		if at+w > width-right && at > left {
			at, row = left, row+legendLine
		}
		fmt.Fprintf(b, `<rect class="s%d" x="%.1f" y="%.1f" width="14" height="4" rx="2"/><text class="legend" x="%.1f" y="%.1f">%s</text>`,
			i%colors, at, row-5, at+20, row, html.EscapeString(l.Name))
		at += w
	}
}

// extent is the least and the greatest of all coordinates; infinite where there are none.
func extent(lines []Line, logX, logY bool) (x, y [2]float64) {
	x = [2]float64{math.Inf(1), math.Inf(-1)}
	y = x
	for _, l := range lines {
		for _, p := range l.Points {
			if logX && p.X <= 0 || logY && p.Y <= 0 {
				continue
			}
			x[0], x[1] = math.Min(x[0], p.X), math.Max(x[1], p.X)
			y[0], y[1] = math.Min(y[0], p.Y), math.Max(y[1], p.Y)
		}
	}
	return x, y
}
