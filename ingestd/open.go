package main

import (
	"log/slog"
	"time"

	"firn/ingestd/kv/rocks"
)

// openRocks opens the store of the event log, salvaging it first where the operator asked for that.
func openRocks(dir string, salvage bool, logger *slog.Logger) (*rocks.Store, error) {
	cfg := rocks.Default()
	if salvage {
		logger.Warn("salvaging: going on with what precedes the damage", "dir", dir)
		return rocks.Salvage(dir, cfg, time.Now())
	}
	return rocks.Open(dir, cfg)
}
