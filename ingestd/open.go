package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"firn/ingestd/eventlog"
	"firn/ingestd/kv"
	"firn/ingestd/kv/rocks"
)

// openRocks opens the store of the event log. A damaged one is refused, with what going on without the damaged part
// would cost; where the operator has decided to (-salvage), that is logged and done.
func openRocks(dir string, salvage bool, lc eventlog.Config, logger *slog.Logger) (*rocks.Store, error) {
	cfg := rocks.Default()
	if salvage {
		logger.Warn("salvaging the log", "dir", dir, "gives_up", lossOf(dir, cfg))
		return rocks.Salvage(dir, cfg, time.Now())
	}
	store, err := rocks.Open(dir, cfg)
	if errors.Is(err, kv.ErrNoSpace) {
		// The volume was filled while we were down. The ballast is for this.
		logger.Warn("the data volume is full: giving up the ballast to start", "error", err.Error())
		if err := lc.GiveUpBallast(); err != nil {
			return nil, err
		}
		store, err = rocks.Open(dir, cfg)
	}
	var damaged *rocks.CorruptError
	if errors.As(err, &damaged) {
		return nil, fmt.Errorf("%w. Salvaging would give up: %s", err, lossOf(dir, cfg))
	}
	if err != nil {
		return nil, err
	}
	for _, torn := range store.Torn() {
		logger.Warn("the power was cut during a write: nothing acked is lost", "torn", torn.String())
	}
	return store, nil
}

// maxLost bounds the ranges that are named: a directory may hold a thousand tables.
const maxLost = 50

// lossOf says which acked events a salvage gives up, as far as can be told without changing anything.
func lossOf(dir string, cfg rocks.Config) string {
	var lost []eventlog.Lost
	err := rocks.Inspect(dir, cfg, func(survives, readable kv.Store) (err error) {
		lost, err = eventlog.Loss(survives, readable)
		return err
	})
	switch {
	case err != nil:
		return fmt.Sprintf("not known (%v)", err)
	case len(lost) == 0:
		return "the damaged record alone, as far as can be told: its events, if any were acked, can't be named"
	}
	var ranges []string
	for _, l := range lost[:min(len(lost), maxLost)] {
		ranges = append(ranges, l.String())
	}
	if n := len(lost) - maxLost; n > 0 {
		ranges = append(ranges, fmt.Sprintf("and %d ranges more", n))
	}
	return strings.Join(ranges, "; ")
}
