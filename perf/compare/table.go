package compare

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// Row is what one subject took in one setting: medians of the rounds.
type Row struct {
	Comparison string             `json:"comparison"`
	Setting    string             `json:"setting"`
	Subject    string             `json:"subject"`
	Figures    map[string]float64 `json:"figures"`
	Requests   map[string]int     `json:"requests,omitempty"` // of a commit, by operation
	Rounds     int                `json:"rounds"`
}

// Figure is a column of a table: a name with its unit, and whether less of it is better.
type Figure struct {
	Name string
	Less bool
}

// Print writes one comparison as text: a table for each setting, the best of each figure marked.
func Print(out io.Writer, rows []Row, figures []Figure) {
	for start := 0; start < len(rows); {
		end := start
		for end < len(rows) && rows[end].Setting == rows[start].Setting {
			end++
		}
		group := rows[start:end]
		start = end
		fmt.Fprintf(out, "\n%s, %s; medians of %d rounds in turn, * is the best\n", group[0].Comparison, group[0].Setting, group[0].Rounds)
		w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprint(w, "\t")
		for _, f := range figures {
			fmt.Fprintf(w, "%s\t", f.Name)
		}
		fmt.Fprintln(w)
		for _, r := range group {
			fmt.Fprintf(w, "%s\t", r.Subject)
			for _, f := range figures {
				mark := " "
				if best(group, f) == r.Figures[f.Name] {
					mark = "*"
				}
				fmt.Fprintf(w, "%s%s\t", short(r.Figures[f.Name]), mark)
			}
			fmt.Fprintln(w)
		}
		w.Flush()
		for _, r := range group {
			if len(r.Requests) > 0 {
				fmt.Fprintf(out, "  %s: %s\n", r.Subject, list(r.Requests))
			}
		}
	}
}

// PrintJSON writes rows as one array.
func PrintJSON(out io.Writer, rows []Row) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(rows)
}

func best(group []Row, f Figure) float64 {
	least := func(a, b Row) int {
		d := a.Figures[f.Name] - b.Figures[f.Name]
		if !f.Less {
			d = -d
		}
		switch {
		case d < 0:
			return -1
		case d > 0:
			return 1
		}
		return 0
	}
	return slices.MinFunc(group, least).Figures[f.Name]
}

// short prints a figure with three digits or so.
func short(v float64) string {
	switch {
	case v >= 100 || v == float64(int64(v)):
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func list(requests map[string]int) string {
	var names, parts []string
	for name := range requests {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		parts = append(parts, fmt.Sprintf("%d %s", requests[name], name))
	}
	return strings.Join(parts, ", ")
}

// Median is the middle of the values, the mean of both where there are two; 0 of none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}
