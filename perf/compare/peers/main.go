// Command peers is what firn/perf/compare measures beside Firn in Go: a commit by iceberg-go and a Parquet file by
// arrow-go. It shares no code with Firn, and speaks as perf/compare/ours does: a job a line, an answer a line, an empty
// answer first.
//
//	peers commit rest URI NAMESPACE TABLE        commits the files of each job through a REST catalog
//	peers commit sql FILE NAMESPACE TABLE        the same through its SQL catalog, in an SQLite file
//	peers encode FILE                            reads a Parquet file, and encodes its rows anew for each job
//
// The AWS_… variables say where S3 is, and who asks.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"syscall"
	"time"
)

// job is what all programs are asked for.
type job struct {
	Files []file `json:"files"`
	To    string `json:"to"` // a file to put the encoded one into, when it was measured
}

// file is a data file with its statistics, by column id.
type file struct {
	Path        string         `json:"path"`
	Hour        int32          `json:"hour"`
	Records     int64          `json:"records"`
	Size        int64          `json:"size"`
	ColumnSizes map[int]int64  `json:"column_sizes"`
	Values      map[int]int64  `json:"values"`
	Nulls       map[int]int64  `json:"nulls"`
	Lower       map[int][]byte `json:"lower"`
	Upper       map[int][]byte `json:"upper"`
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
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) == 5 && args[0] == "commit":
		do, err := committer(ctx, args[1], args[2], args[3], args[4])
		if err != nil {
			return err
		}
		return serve(do)
	case len(args) == 2 && args[0] == "encode":
		do, err := encoder(ctx, args[1])
		if err != nil {
			return err
		}
		return serve(do)
	}
	return fmt.Errorf("want: commit rest|sql PLACE NAMESPACE TABLE, or encode FILE")
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
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	return u.Utime.Nano() + u.Stime.Nano(), nil
}
