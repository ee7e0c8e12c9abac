// Command compactor rewrites the data files of tables: many small ones become few large ones, sorted by event time. It is
// an AWS Lambda function (provided.al2023, as bootstrap) that a schedule invokes, with 512 MB and up to 15 minutes; with
// -once, its only flag, it is an ordinary process that goes over all tables once.
//
// It is a function of its own because it pulls Parquet, and works for minutes, where the committer (flushlambda) has to
// start within milliseconds. It holds nothing that must survive: each rewrite is one commit beside those of the committer,
// any number of instances may run, and any of them may be stopped at any moment (commitlib/compact).
//
// The environment is the committer's; what is about its queue is not used.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/aws/aws-lambda-go/lambda"
)

// version is set by the build (-ldflags -X main.version=…).
var version = "unknown"

func main() {
	os.Exit(command(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// command runs the compactor and returns its exit status: 0 done, 1 it cannot start or not every table was compacted, 2
// wrong arguments.
func command(args, environ []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("compactor", flag.ContinueOnError)
	fs.SetOutput(stderr)
	once := fs.Bool("once", false, "compact all tables once, as an ordinary process, and print what was done; everything else is set by environment variables")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(stderr, "compactor: unexpected argument %q: settings are environment variables\n", fs.Arg(0))
		return 2
	}
	log := slog.New(slog.NewJSONHandler(stderr, nil))
	slog.SetDefault(log) // the runtime's own lines too
	s, err := settingsFrom(environ, *once)
	var svc *service
	if err == nil {
		svc, err = open(s, log)
	}
	if err != nil {
		log.Error("cannot start", "version", version, "error", err.Error())
		return 1
	}
	debug.SetMemoryLimit(s.MemoryBytes / 4 * 3) // the rest is the program, its stacks, and a store's parts on their way
	log.Info("started", "version", version, "warehouse", s.Warehouse, "catalog", s.Catalog, "namespaces", s.Namespaces, "memory", s.MemoryBytes)
	if !*once {
		lambda.Start(svc.invoke) // does not return
		return 0
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	done, err := svc.invoke(ctx, event{})
	if err == nil {
		err = json.NewEncoder(stdout).Encode(done)
	}
	if err == nil && done.Errors > 0 {
		err = fmt.Errorf("%d of %d tables could not be compacted", done.Errors, done.Tables)
	}
	if err != nil {
		log.Error("not every table was compacted", "error", err.Error())
		return 1
	}
	return 0
}
