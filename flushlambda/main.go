// Command flushlambda is the committer: it takes batches of commit requests from an SQS FIFO queue and makes them part of
// their tables, one snapshot for each table in the batch. It is an AWS Lambda function (provided.al2023, as bootstrap);
// with -poll, its only flag, it is an ordinary process that polls the queue itself.
//
// Invariants: it holds nothing that must survive (the tables do: commitlib/PROTOCOL.md), so any number of instances may
// run at the same time, and any of them may be stopped at any moment. What it remembers of a table is a hint that the
// swap puts to the test. It answers with the messages to deliver again and with no others. It pulls neither cgo, nor
// Parquet, nor the AWS SDK's config package, so that a cold start costs milliseconds. Starting sends nothing that it
// waits for: what can be wrong for good is seen in the settings alone, and the rest shows at a batch, which comes again.
//
// The environment is read once, at start (settings.go). Logs are JSON lines on standard error; metrics are lines in
// CloudWatch's embedded format on standard output, one for each batch (commitlib/emf).
package main

import (
	"context"
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

// command runs flushlambda and returns its exit status: 0 stopped by a signal, 1 it cannot start, 2 wrong
// arguments.
func command(args, environ []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("flushlambda", flag.ContinueOnError)
	fs.SetOutput(stderr)
	poll := fs.Bool("poll", false, "poll the queue that FIRN_QUEUE names, as an ordinary process; everything else is set by environment variables")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(stderr, "flushlambda: unexpected argument %q: settings are environment variables\n", fs.Arg(0))
		return 2
	}

	log := slog.New(slog.NewJSONHandler(stderr, nil))
	slog.SetDefault(log) // the runtime's own lines too
	s, err := settingsFrom(environ, *poll)
	var svc *service
	if err == nil {
		svc, err = open(s, stdout, log)
	}
	if err != nil {
		log.Error("cannot start", "version", version, "error", err.Error())
		if s.RuntimeAPI != "" && !*poll {
			if err := reportInitError(s.RuntimeAPI, err); err != nil {
				log.Error("Lambda was not told why", "error", err.Error())
			}
		}
		return 1
	}
	// Lambda kills a function that outgrows its memory. The largest batch needs most of 256 MB, and fits it when the
	// collector knows of the bound (memory_test.go); a process is told by GOMEMLIMIT.
	if s.MemoryBytes > 0 {
		debug.SetMemoryLimit(s.MemoryBytes / 4 * 3)
	}
	log.Info("started", append([]any{"version", version}, s.describe()...)...)
	if *poll {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		if err := svc.poll(ctx); err != nil {
			log.Error("cannot poll", "error", err.Error())
			return 1
		}
		log.Info("stopped")
		return 0
	}
	go svc.warm(context.Background())
	lambda.Start(svc.invoke) // does not return
	return 0
}
