// Command ours is Firn's side of the comparisons in firn/perf/compare: one process that does a job for each line that it
// reads and prints what it took, as the peers' programs do (perf/compare/peers, perf/compare/pyside.py).
//
//	ours commit              commits the files of each job to a table; the environment names store and catalog (FIRN_…)
//	ours encode KIND ROWS    encodes the same events anew for each job
//	ours events KIND ROWS FILE   writes those events as a Parquet file, for the others to read
//
// A job and its answer are lines of JSON; perf/compare/subject_test.go has their types. Before the first job it prints an
// empty answer.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"firn/commitlib/datafile"
)

// job is what all programs are asked for; this one looks at its part of it.
type job struct {
	Message []byte `json:"message"` // a commit request as the queue carries it
	Group   string `json:"group"`
	To      string `json:"to"` // a file to put the encoded one into, when it was measured
}

// answer is what a job took.
type answer struct {
	Wall  int64  `json:"wall_ns"`
	CPU   int64  `json:"cpu_ns"` // of all threads
	Bytes int    `json:"bytes,omitempty"`
	Error string `json:"error,omitempty"`
}

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "ours:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 1 && args[0] == "commit":
		do, err := committer(ctx)
		if err != nil {
			return err
		}
		return serve(do)
	case len(args) == 3 && args[0] == "encode":
		do, err := encoder(args[1], args[2])
		if err != nil {
			return err
		}
		return serve(do)
	case len(args) == 4 && args[0] == "events":
		do, err := encoder(args[1], args[2])
		if err != nil {
			return err
		}
		_, err = do(job{To: args[3]})
		return err
	}
	return fmt.Errorf("want: commit, encode KIND ROWS, or events KIND ROWS FILE")
}

// serve does a job a line until there are no more.
func serve(do func(job) (answer, error)) error {
	in, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	in.Buffer(nil, 16<<20)
	if err := out.Encode(answer{}); err != nil {
		return err
	}
	for in.Scan() {
		var j job
		if err := json.Unmarshal(in.Bytes(), &j); err != nil {
			return fmt.Errorf("read job: %w", err)
		}
		a, err := do(j)
		if err != nil {
			a.Error = err.Error()
		}
		if err := out.Encode(a); err != nil {
			return err
		}
	}
	return in.Err()
}

// timed is what fn takes.
func timed(fn func() error) (answer, error) {
	began := time.Now()
	before, err := cpu()
	if err != nil {
		return answer{}, err
	}
	if err := fn(); err != nil {
		return answer{}, err
	}
	after, err := cpu()
	return answer{Wall: time.Since(began).Nanoseconds(), CPU: after - before}, err
}

// cpu is the CPU time, user's and system's, that this process has used.
func cpu() (int64, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	return t.Nano(), nil
}

func encoder(kind, count string) (func(job) (answer, error), error) {
	n, err := strconv.Atoi(count)
	if err != nil {
		return nil, err
	}
	b, err := events(kind, n)
	if err != nil {
		return nil, err
	}
	e, err := datafile.NewEncoder(b.Schema, datafile.Default())
	if err != nil {
		return nil, err
	}
	var file bytes.Buffer
	return func(j job) (answer, error) {
		a, err := timed(func() error {
			file.Reset()
			_, err := e.Encode(&file, b, nil)
			return err
		})
		a.Bytes = file.Len()
		if err == nil && j.To != "" {
			err = os.WriteFile(j.To, file.Bytes(), 0o644)
		}
		return a, err
	}, nil
}
