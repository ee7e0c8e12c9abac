// Package flame draws Go profiles as flame graphs: SVG without scripts, whose boxes say on hover what they are.
//
// The root is above; a box's width is what its function and all that it called took. Colors say where a function
// belongs. What is narrower than a third of a pixel is left out.
package flame

import (
	"fmt"
	"html"
	"io"
	"slices"
	"strings"

	"github.com/google/pprof/profile"
)

// Profile is a profile as Go's runtime takes it.
type Profile = profile.Profile

type profileValue = profile.ValueType

// Parse reads a profile from what /debug/pprof serves.
func Parse(text []byte) (*Profile, error) {
	p, err := profile.ParseData(text)
	if err != nil {
		return nil, fmt.Errorf("read profile: %w", err)
	}
	return p, nil
}

// Graph is what to draw.
type Graph struct {
	Title string
	Value string // sample type of the profile, such as cpu or alloc_space
	Write func(v int64) string
}

// node is a function on a stack, with all samples of that stack.
type node struct {
	name     string
	total    int64
	children map[string]*node
}

func (n *node) child(name string) *node {
	c := n.children[name]
	if c == nil {
		c = &node{name: name, children: map[string]*node{}}
		n.children[name] = c
	}
	return c
}

// tree adds up a profile's samples by stack. deepest is how many functions the longest stack has.
func tree(p *profile.Profile, value string) (root *node, deepest int, err error) {
	at := slices.IndexFunc(p.SampleType, func(t *profileValue) bool { return t.Type == value })
	if at < 0 {
		return nil, 0, fmt.Errorf("draw flame graph: the profile has no values of type %s", value)
	}
	root = &node{name: "all", children: map[string]*node{}}
	for _, s := range p.Sample {
		v := s.Value[at]
		if v == 0 {
			continue
		}
		root.total += v
		n := root
		for _, name := range stack(s) {
			n = n.child(name)
			n.total += v
		}
		deepest = max(deepest, len(stack(s)))
	}
	return root, deepest, nil
}

// stack is a sample's functions, the root first; those that were inlined stand inside their callers.
func stack(s *profile.Sample) (names []string) {
	for _, l := range slices.Backward(s.Location) {
		for _, line := range slices.Backward(l.Line) {
			names = append(names, line.Function.Name)
		}
	}
	return names
}

// The drawing's measures in pixels.
const (
	width    = 1400.0
	row      = 18.0
	head     = 74.0
	margin   = 12.0
	narrow   = 0.35 // boxes below this are left out
	letter   = 6.6  // width of a letter, about
	minLabel = 28.0 // boxes below this have no text
)

// Draw writes a profile as SVG.
func (g Graph) Draw(w io.Writer, p *profile.Profile) error {
	root, depth, err := tree(p, g.Value)
	if err != nil {
		return err
	}
	var b strings.Builder
	height := head + row*float64(depth+1) + margin
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" font-family="system-ui, Helvetica, Arial, sans-serif" font-size="11">`, width, height, width, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#ffffff"/><text x="%.0f" y="26" font-size="18" font-weight="600" fill="#1c2733">%s</text>`, margin, html.EscapeString(g.Title))
	at := margin
	for _, c := range classes {
		fmt.Fprintf(&b, `<rect x="%.1f" y="42" width="12" height="12" rx="2" fill="%s"/><text x="%.1f" y="52" fill="#5b6b7b">%s</text>`, at, c.color, at+17, html.EscapeString(c.name))
		at += 34 + letter*float64(len(c.name))
	}
	if root.total > 0 {
		g.box(&b, root, margin, head, (width-2*margin)/float64(root.total), root.total)
	} else {
		fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" fill="#5b6b7b">Nothing was sampled.</text>`, margin, head+row)
	}
	b.WriteString("</svg>\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("draw flame graph: %w", err)
	}
	return nil
}

// box draws a node at x, y and its children below it. scale is pixels for each unit of value.
func (g Graph) box(b *strings.Builder, n *node, x, y, scale float64, all int64) {
	w := float64(n.total) * scale
	if w < narrow {
		return
	}
	fmt.Fprintf(b, `<g><title>%s: %s, %.1f %%</title><rect x="%.1f" y="%.1f" width="%.1f" height="%.0f" rx="1.5" fill="%s" stroke="#ffffff" stroke-width="0.5"/>`,
		html.EscapeString(n.name), html.EscapeString(g.Write(n.total)), 100*float64(n.total)/float64(all), x, y, w, row-1, classOf(n.name).color)
	if w >= minLabel {
		text := []rune(short(n.name))
		if room := int((w - 6) / letter); len(text) > room {
			text = append(text[:max(0, room-1)], '…')
		}
		fmt.Fprintf(b, `<text x="%.1f" y="%.1f" fill="#1c2733">%s</text>`, x+3, y+12.5, html.EscapeString(string(text)))
	}
	b.WriteString("</g>")
	names := make([]string, 0, len(n.children))
	for name := range n.children {
		names = append(names, name)
	}
	slices.Sort(names) // the same functions stand in the same places in all graphs
	for _, name := range names {
		c := n.children[name]
		g.box(b, c, x, y+row, scale, all)
		x += float64(c.total) * scale
	}
}

// short is a function's name without its package's path.
func short(name string) string { return name[strings.LastIndexByte(name, '/')+1:] }
