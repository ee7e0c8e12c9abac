// Command ingestd takes events over HTTP, makes them durable, acks, and commits them to Apache Iceberg tables.
//
// This package reads the configuration, wires the parts, and orders their start and end; everything else lives in the
// packages below. Start order is the order of need: log, store, catalog, tables, committer, shipping, HTTP. The end
// runs backwards: HTTP first, so that what was accepted is acked; the log last.
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
	"strings"
	"syscall"
)

// version is set by the build (-ldflags -X main.version=…).
var version = "unknown"

func main() {
	os.Exit(command(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// garbagePercent is GOGC where the environment does not say otherwise. The heap is arenas with few pointers: at the usual
// 100 the collector took half a percent of all CPU, and what it left made up half of a daemon that held 450 MB.
const garbagePercent = 40

// command runs ingestd and returns its exit status: 0 done, 1 it broke or could not start, 2 wrong flags or
// environment.
func command(args, environ []string, stdout, stderr io.Writer) int {
	cfg, err := Parse(args, environ)
	switch {
	case errors.Is(err, flag.ErrHelp):
		Usage(stdout)
		return 0
	case cfg.Version:
		fmt.Fprintln(stdout, version)
		return 0
	case err == nil && cfg.Check:
		err = check(cfg)
	}
	if err != nil {
		for _, line := range strings.Split(err.Error(), "\n") {
			fmt.Fprintln(stderr, "ingestd:", line)
		}
		fmt.Fprintln(stderr, "see ingestd -help")
		return 2
	}
	if cfg.Check {
		for _, a := range cfg.effective() {
			fmt.Fprintf(stdout, "%s=%s\n", a.Key, a.Value)
		}
		return 0
	}
	logger := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: cfg.LogLevel}))
	logger.LogAttrs(context.Background(), slog.LevelInfo, "starting", append([]slog.Attr{slog.String("version", version)}, cfg.effective()...)...)
	debug.SetMemoryLimit(int64(cfg.MemoryLimit))
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}

	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if cfg.Maintain || cfg.Verify {
		if err := maintainOnce(ctx, cfg, stdout, logger); err != nil {
			logger.Error("not every table could be maintained, or is whole", "error", err.Error())
			return 1
		}
		return 0
	}
	phases := os.Getenv("FIRN_PHASE_FILE") // for tests that kill the daemon: no setting of an operator's
	if err := run(ctx, cfg, phases, stdout, logger); err != nil {
		logger.Error("ingestd ends", "error", err.Error())
		return 1
	}
	logger.Info("stopped")
	return 0
}
