package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// damaged runs a daemon, kills it with everything still in the write-ahead log, and lets damage change that log's
// bytes. It returns what was acked, in order.
func damaged(t *testing.T, o Options, damage func(wal []byte) []byte) (acked []Row) {
	t.Helper()
	d := Start(t, o)
	c := d.Client()
	for n := range 200 {
		e := Event{TimeMs: time.Now().UnixMilli(), Payload: fmt.Appendf(nil, `{"n":%d,"pad":%q}`, n, strings.Repeat("x", n))}
		ack, err := c.Single(t.Context(), "clicks", e)
		if err != nil {
			t.Fatal(err)
		}
		acked = append(acked, e.Row(ack.Log, ack.First))
	}
	d.Kill()
	logs, err := filepath.Glob(filepath.Join(o.Data, "log", "*.log"))
	if err != nil || len(logs) != 1 {
		t.Fatalf("write-ahead logs %v, %v; want one", logs, err)
	}
	wal, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(logs[0], damage(wal), 0o644); err != nil {
		t.Fatal(err)
	}
	return acked
}

func damageOptions(t *testing.T) Options {
	return Options{Data: t.TempDir(), Flags: []string{"-cut-interval", "1h"}}
}

// holds drains the directory and wants exactly these rows in the table.
func holds(t *testing.T, o Options, rows []Row) {
	t.Helper()
	Drain(t, o, time.Minute)
	want := Expected{}
	for _, r := range rows {
		want.Add(t, r)
	}
	want.Compare(t, "pyiceberg", filepath.Join(o.Data, "warehouse", "default", "clicks"), 0, time.Now().UnixMicro())
}

// One flipped byte amid acked events: the start is refused and says what salvaging costs; nothing changes until the
// operator asks for it, and then exactly that is gone.
func TestFlippedByteIsRefused(t *testing.T) {
	o := damageOptions(t)
	acked := damaged(t, o, func(wal []byte) []byte {
		wal[len(wal)/2] ^= 0x10
		return wal
	})
	for range 2 { // a refused start changes nothing: the second is refused like the first
		d := Launch(t, o)
		if err := d.Wait(startTime); err == nil || strings.Contains(err.Error(), "still runs") {
			t.Fatalf("a start on a damaged log: %v, want it refused", err)
		}
		for _, want := range []string{"-salvage", "would give up", "table clicks"} {
			if !strings.Contains(d.Log(8000), want) {
				t.Fatalf("the refusal does not say %q:\n%s", want, d.Log(8000))
			}
		}
	}
	salvage := o
	salvage.Flags = append([]string{"-salvage"}, o.Flags...)
	d := Start(t, salvage)
	e := Event{TimeMs: time.Now().UnixMilli(), Payload: []byte(`{"after":"salvage"}`)}
	ack, err := d.Client().Single(t.Context(), "clicks", e)
	if err != nil {
		t.Fatal(err)
	}
	d.Stop()

	// A prefix survives: how long it is, the daemon has said.
	kept := 0
	Drain(t, o, time.Minute)
	ReadRows(t, "pyiceberg", filepath.Join(o.Data, "warehouse", "default", "clicks"), func(r Row) {
		if r.Log == acked[0].Log {
			kept = max(kept, int(r.Sequence))
		}
	})
	if kept == 0 || kept == len(acked) {
		t.Fatalf("%d of %d events survived a byte flipped amid them", kept, len(acked))
	}
	if lost := fmt.Sprintf("%d to %d", kept+1, len(acked)); !strings.Contains(d.Log(8000), lost) {
		t.Errorf("events %s are gone, and the daemon said:\n%s", lost, d.Log(8000))
	}
	holds(t, o, append(acked[:kept:kept], e.Row(ack.Log, ack.First)))
}

// A tail cut within a record, and junk that a torn write left, are what a crash leaves
// behind the last sync: the start goes on.
func TestTornTailGoesOn(t *testing.T) {
	t.Run("cut", func(t *testing.T) {
		o := damageOptions(t)
		acked := damaged(t, o, func(wal []byte) []byte { return wal[:len(wal)-5] })
		holds(t, o, acked[:len(acked)-1]) // the last record was cut: no disk does that to a synced one, a test can
	})
	t.Run("zeros", func(t *testing.T) {
		o := damageOptions(t)
		acked := damaged(t, o, func(wal []byte) []byte { return append(wal, make([]byte, 5000)...) })
		holds(t, o, acked)
	})
	t.Run("junk", func(t *testing.T) {
		o := damageOptions(t)
		acked := damaged(t, o, func(wal []byte) []byte { return append(wal, 0x17, 0x2a, 0x91) })
		holds(t, o, acked)
	})
}
