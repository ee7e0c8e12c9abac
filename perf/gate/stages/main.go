// Command stages does one hot stage of an event's way over and over, and prints what CPU time each operation took. The
// gate (firn/perf/gate) builds it from two commits and compares what they print; it is a program of its own so that each
// figure comes from a fresh process, and so that the same source measures both commits.
//
//	stages -stage decode                 runs a slice for each line that it reads, and prints what it took: nanoseconds
//	                                     of CPU time an operation
//	stages -stage decode -allocations    prints how many objects and bytes an operation allocates
//	stages -list                         prints the stages' names
//
// Invariants: it uses exported names alone, so that it builds against other commits; nothing of it needs cgo, a disk or
// a socket, whose times are no commit's doing; every event is unique, and all randomness is seeded, so that two
// processes do the same work.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// stage is one piece of work. prepare makes a slice of it: run does so many operations, and is what is measured.
type stage struct {
	name    string
	what    string // one operation
	prepare func() (run func() error, operations int, err error)
}

var stages = []stage{
	{"decode", "a bulk request of 100 events of 82 bytes decoded", decode()},
	{"append", "a batch of 100 events of 82 bytes through the event log, onto a store that keeps nothing", appends()},
	{"read", "a block of 100 events of 82 bytes read back from the event log, as the shipper reads", reads()},
	{"datafile", "2,500 events of 82 bytes encoded as a Parquet file", encode()},
	{"commit", "a warm commit of 10 data files, on an object store in memory", commit()},
}

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "stages:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	fs := flag.NewFlagSet("stages", flag.ContinueOnError)
	name := fs.String("stage", "", "`name` of the stage")
	allocations := fs.Bool("allocations", false, "count allocations instead of measuring time")
	list := fs.Bool("list", false, "list the stages")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *list {
		for _, s := range stages {
			fmt.Fprintf(out, "%s\t%s\n", s.name, s.what)
		}
		return nil
	}
	for _, s := range stages {
		if s.name == *name {
			if *allocations {
				return s.allocations(out)
			}
			return s.measure(os.Stdin, out)
		}
	}
	return errors.New("no stage " + *name + ": -list lists them")
}
