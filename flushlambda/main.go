// Command flushlambda is the committer as an AWS Lambda function: it takes a batch of commit requests from an SQS FIFO
// queue and makes them part of their tables, one snapshot for each table in the batch.
//
// Invariants: it holds nothing that must survive (the tables do: commitlib/PROTOCOL.md), so any number of instances may
// run at the same time, and any of them may be stopped at any moment. It answers with the messages to deliver again and
// with no others. It pulls neither cgo, nor Parquet, nor the AWS SDK, so that a cold start costs milliseconds.
//
// The environment is read once, at start: FIRN_WAREHOUSE and FIRN_CATALOG. Logs are JSON lines on standard error.
package main

import (
	"fmt"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"firn/commitlib"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/objstore"
)

// version is set by the build (-ldflags -X main.version=…).
var version = "unknown"

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	h, err := newHandler(os.Getenv, log)
	if err != nil {
		log.Error("cannot start", "version", version, "error", err.Error())
		os.Exit(1)
	}
	lambda.Start(h.handle)
}

// newHandler builds everything that outlives an invocation.
func newHandler(getenv func(string) string, log *slog.Logger) (*handler, error) {
	c, err := configFromEnv(getenv)
	if err != nil {
		return nil, err
	}
	// OpenDir would make the folder: in place of a volume that is not mounted, say,
	// and every request would be rejected.
	if info, err := os.Stat(c.Warehouse); err != nil {
		return nil, fmt.Errorf("open warehouse: %w: mount the volume that ingestd stages to", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("open warehouse: %s is no folder", c.Warehouse)
	}
	store, err := objstore.OpenDir(c.Warehouse)
	if err != nil {
		return nil, fmt.Errorf("open warehouse: %w", err)
	}
	log.Info("started", "version", version, "warehouse", store.Root(), "catalog", c.Catalog)
	return &handler{commitlib.New(objectstore.New(store, objectstore.Config{Logger: log}), store, commitlib.Config{Log: log}), log}, nil
}
