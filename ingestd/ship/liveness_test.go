package ship

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
	"firn/ingestd/event"
	"firn/ingestd/eventlog"
	"firn/ingestd/kv"
)

// Idempotency keys are forgotten once their window has passed, also where nothing else happens: a full budget refuses
// every event with a new key, so nothing else will happen.
func TestKeysAreForgottenWhileIdle(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.T
		n := w.start(kv.NewMem())
		defer n.close()
		table, err := n.reg.Ensure(t.Context(), "clicks")
		if err != nil {
			t.Fatal(err)
		}
		b, err := column.New(event.Schema)
		if err != nil {
			t.Fatal(err)
		}
		b.Col(iceberg.FieldPartition).AppendInt32(0)
		b.Col(iceberg.FieldEventTime).AppendInt64(time.Now().UnixMicro())
		for _, f := range []int{iceberg.FieldIdempotencyKey, iceberg.FieldPayload} {
			if err := b.Col(f).AppendBytes([]byte("k")); err != nil {
				t.Fatal(err)
			}
		}
		b.Len = 1
		if _, err := n.log.Append(t.Context(), eventlog.Append{Table: eventlog.Table{Name: "clicks", UUID: table.UUID}, Batch: b, ReceivedAt: time.Now()}); err != nil {
			t.Fatal(err)
		}
		n.mustDrain(time.Minute)
		if n.log.Stats().DedupBytes == 0 {
			t.Fatal("no key is remembered")
		}
		time.Sleep(eventlog.DefaultDedupWindow + time.Minute)
		if held := n.log.Stats().DedupBytes; held != 0 {
			t.Errorf("keys of %d bytes are remembered a minute after their window", held)
		}
	})
}

// A table whose turn at the encoder came and that did not need it passes it on: the
// tables behind it must not wait for ever.
func TestAnUnusedEncoderIsPassedOn(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.T
		w.cfg.RetryMin, w.cfg.RetryMax = time.Hour, time.Hour
		n, err := w.open(kv.NewMem())
		if err != nil {
			t.Fatal(err)
		}
		defer n.close()
		s := n.shipper
		n.mustAppend("first", some(3)...)
		n.mustAppend("second", some(3)...)
		busy := <-s.large.free // as another table's turn holds it
		time.Sleep(time.Minute)
		if _, err := s.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		if len(s.large.waiting) != 2 {
			t.Fatalf("%d tables wait for the encoder, want 2", len(s.large.waiting))
		}
		head, behind := s.large.waiting[0], s.large.waiting[1]
		head.read = false // it has the watermark to read back, and cannot
		s.mu.Unlock()
		w.store.SetFault(func(objstore.Call) objstore.Fault { return objstore.Fault{Err: errors.New("unreachable")} })
		s.giveBackStager(&s.large, busy)
		if _, err := s.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		waits := behind.waiting
		s.mu.Unlock()
		if waits {
			t.Error("the encoder is free, and the second table still waits for it")
		}
	})
}

// A segment is bounded in rows too: in memory an event of one byte takes many times what the log counts of it.
func TestSegmentsOfTinyEventsAreBoundedInRows(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.T
		w.cfg.MaxSegmentBytes = minSegmentRows * rowBytes
		n := w.start(kv.NewMem())
		defer n.close()
		tiny := make([]ev, 20_000)
		for i := range tiny {
			tiny[i] = ev{at: time.Now(), payload: "x"}
		}
		n.mustAppend("clicks", tiny...)
		n.mustDrain(time.Minute)
		if got := n.shipper.Stats().SegmentsCut; got != 5 {
			t.Errorf("%d segments were cut of 20,000 events, want 5 of at most 4,096", got)
		}
	})
}

// A trim may take long: moving a stuck table's blocks is a gigabyte. A stop does not wait for it.
func TestStopDoesNotWaitForATrim(t *testing.T) {
	bubble(t, func(w *world) {
		t := w.T
		var held atomic.Bool
		release := make(chan struct{})
		dir := kv.NewMem()
		dir.Fault = func(int) kv.Fault {
			if held.Load() {
				<-release
			}
			return kv.None
		}
		n := w.start(dir)
		n.mustAppend("clicks", some(3)...)
		n.within(time.Minute, "committed", n.drained)
		held.Store(true)
		time.Sleep(2 * n.shipper.cfg.TrimEvery)
		n.shipper.mu.Lock()
		if !n.shipper.trimming {
			t.Error("no trim is under way")
		}
		n.shipper.mu.Unlock()
		n.stop()
		select {
		case <-n.ran:
		case <-time.After(time.Minute):
			t.Error("Run waits for the trim")
		}
		close(release)
		n.stop = nil
		n.close()
	})
}
