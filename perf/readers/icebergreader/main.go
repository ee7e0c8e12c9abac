// Command icebergreader reads a Firn table with iceberg-go, a reader that Firn did not write: it dumps the rows in the
// form of read_rows.py, or counts the data files left by filters as pruning.py does. It shares no code with Firn.
//
//	icebergreader rows TABLE-FOLDER OUT-FILE
//	icebergreader files TABLE-FOLDER FILTER…
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/apache/iceberg-go"
	icebergio "github.com/apache/iceberg-go/io"
	"github.com/apache/iceberg-go/table"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "icebergreader:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("want: rows TABLE-FOLDER OUT-FILE, or: files TABLE-FOLDER FILTER…")
	}
	t, err := open(ctx, args[1])
	if err != nil {
		return err
	}
	switch {
	case args[0] == "rows" && len(args) == 3:
		return dump(ctx, t, args[2])
	case args[0] == "files":
		return files(ctx, t, args[2:])
	}
	return fmt.Errorf("unknown command %q", args)
}

// open follows version-hint.text, whose digits name the current metadata file.
func open(ctx context.Context, folder string) (*table.Table, error) {
	hint, err := os.ReadFile(filepath.Join(folder, "metadata", "version-hint.text"))
	if err != nil {
		return nil, fmt.Errorf("read hint: %w", err)
	}
	if _, err := strconv.ParseUint(string(hint), 10, 64); err != nil {
		return nil, fmt.Errorf("version-hint.text holds %q, want digits alone", hint)
	}
	metadata := filepath.Join(folder, "metadata", "v"+string(hint)+".metadata.json")
	local := func(context.Context) (icebergio.IO, error) { return icebergio.LocalFS{}, nil }
	return table.NewFromLocation(ctx, table.Identifier{"default", filepath.Base(folder)}, metadata, local, nil)
}

// files prints the number of all data files, and of those that each filter leaves.
func files(ctx context.Context, t *table.Table, filters []string) error {
	counts := struct {
		Total int   `json:"total"`
		Read  []int `json:"read"`
	}{}
	all, err := t.Scan().PlanFiles(ctx)
	if err != nil {
		return fmt.Errorf("plan files: %w", err)
	}
	counts.Total = len(all)
	for _, f := range filters {
		e, err := parseFilter(f)
		if err != nil {
			return err
		}
		left, err := t.Scan(table.WithRowFilter(e)).PlanFiles(ctx)
		if err != nil {
			return fmt.Errorf("plan files for %s: %w", f, err)
		}
		counts.Read = append(counts.Read, len(left))
	}
	return json.NewEncoder(os.Stdout).Encode(counts)
}

// parseFilter reads "column,from,to": from inclusive, to exclusive, times in microseconds since 1970.
func parseFilter(s string) (iceberg.BooleanExpression, error) {
	column, bounds, _ := strings.Cut(s, ",")
	from, to, _ := strings.Cut(bounds, ",")
	lo, err := strconv.ParseInt(from, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("parse filter %q: %w", s, err)
	}
	hi, err := strconv.ParseInt(to, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("parse filter %q: %w", s, err)
	}
	ref := iceberg.Reference(column)
	if column == "event_time" || column == "ingest_time" {
		return iceberg.NewAnd(iceberg.GreaterThanEqual(ref, iceberg.Timestamp(lo)), iceberg.LessThan(ref, iceberg.Timestamp(hi))), nil
	}
	return iceberg.NewAnd(iceberg.GreaterThanEqual(ref, lo), iceberg.LessThan(ref, hi)), nil
}
