package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/ingestd/event"
	"firn/ingestd/eventlog"
)

// A drain that a signal ends is no drain: whoever removes the directory after status 0 would lose what is in it.
func TestInterruptedDrainFails(t *testing.T) {
	cfg := Default()
	cfg.Data, cfg.Listen, cfg.Drain = t.TempDir(), "127.0.0.1:0", true
	cfg.Warehouse = filepath.Join(cfg.Data, "warehouse")
	logger := slog.New(slog.DiscardHandler)
	d := &daemon{cfg: cfg, logger: logger}
	if err := errors.Join(ensureDirs(cfg), d.openLog()); err != nil {
		t.Fatal(err)
	}
	b := event.Get(1)
	defer b.Release()
	if err := event.DecodeSingle(b, []byte("x"), nil, event.DefaultLimits(), event.Defaults{}); err != nil {
		t.Fatal(err)
	}
	a := eventlog.Append{Table: eventlog.Table{Name: "clicks", UUID: uuid.New()}, Batch: &b.Batch, ReceivedAt: time.Now()}
	if _, err := d.log.Append(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.log.Close(), d.kv.Close()); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	if err := run(ctx, cfg, "", io.Discard, logger); err == nil || !strings.Contains(err.Error(), "1 events of table clicks") {
		t.Errorf("got %v, want an error that names what is left", err)
	}
}
