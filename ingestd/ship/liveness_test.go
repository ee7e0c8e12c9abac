package ship

import (
	"testing"
	"time"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
	"firn/ingestd/event"
	"firn/ingestd/eventlog"
	"firn/ingestd/kv"
)

// Idempotency keys are forgotten once their window has passed, also where nothing else happens: a full budget refuses every
// event with a new key, so nothing else will happen.
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
