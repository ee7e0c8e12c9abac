package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"firn/perf/load"
	"firn/perf/report"
)

// runReport is perf report: the results in these files as one page on standard output.
func runReport(args []string, out io.Writer) error {
	fs := flag.NewFlagSet("perf report", flag.ContinueOnError)
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() == 0 {
		return errors.New("name the files that perf load wrote: perf report results/*.json > report.html")
	}
	var results []*load.Result
	for _, path := range fs.Args() {
		r, err := readResult(path)
		if err != nil {
			return err
		}
		results = append(results, r)
	}
	return report.Write(out, results)
}

func readResult(path string) (*load.Result, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read result: %w", err)
	}
	r := new(load.Result)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("read result %s: %w", path, err)
	}
	return r, nil
}
