package eventlog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/column"
	"firn/ingestd/event"
	"firn/ingestd/kv"
)

// testConfig has small bounds; the clock stands still at the tests' present.
func testConfig() Config {
	c := Default()
	c.Schema = event.Schema
	c.MaxBytes, c.MaxTableBytes, c.MaxGroupBytes, c.TailBytes, c.zoneBytes = 1<<20, 1<<19, 1<<16, 1<<14, 1<<12
	c.ReserveBytes, c.BallastBytes = 0, 0
	c.Clock = func() time.Time { return present }
	return c
}

var present = time.UnixMilli(1_795_000_000_000)

func mustOpen(t testing.TB, s kv.Store, c Config) *Log {
	t.Helper()
	l, err := Open(s, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// table makes a table with a UUID that follows from its name.
func table(name string) Table { return Table{name, uuid.NewSHA1(uuid.Nil, []byte(name))} }

// batch makes events; "key|payload" has a key, "payload" has none. Partition and time follow from the place.
func batch(t testing.TB, events ...string) *column.Batch {
	t.Helper()
	b := newBatch(event.Schema)
	for i, e := range events {
		key, payload, keyed := "", e, false
		for j := range e {
			if e[j] == '|' {
				key, payload, keyed = e[:j], e[j+1:], true
				break
			}
		}
		b.Cols[event.ColPartition].AppendInt32(int32(i % 3))
		b.Cols[event.ColTime].AppendInt64(int64(i) * 1000)
		if keyed {
			if err := b.Cols[event.ColKey].AppendBytes([]byte(key)); err != nil {
				t.Fatal(err)
			}
		} else {
			b.Cols[event.ColKey].AppendNull()
		}
		if err := b.Cols[event.ColPayload].AppendBytes([]byte(payload)); err != nil {
			t.Fatal(err)
		}
		b.Len++
	}
	return b
}

func (l *Log) put(t testing.TB, name string, events ...string) (Appended, error) {
	t.Helper()
	return l.Append(context.Background(), Append{Table: table(name), Batch: batch(t, events...), ReceivedAt: l.cfg.Clock()})
}

func mustPut(t testing.TB, l *Log, name string, events ...string) Appended {
	t.Helper()
	a, err := l.put(t, name, events...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// payloads reads a track from its low to its high watermark.
func payloads(t testing.TB, l *Log, id Track) []string {
	t.Helper()
	info, ok := l.Track(id)
	if !ok {
		t.Fatalf("no track %d", id)
	}
	return payloadsOf(t, l, id, info.Low, info.High)
}

func payloadsOf(t testing.TB, l *Log, id Track, first, last Seq) []string {
	t.Helper()
	var got []string
	next := first
	err := l.Read(context.Background(), id, first, last, func(r Rows) error {
		if r.First != next {
			t.Fatalf("rows from %d, want %d", r.First, next)
		}
		next += Seq(r.Batch.Len)
		if err := r.Batch.Validate(); err != nil {
			t.Fatal(err)
		}
		for i := range r.Batch.Len {
			got = append(got, string(r.Batch.Cols[event.ColPayload].Bytes(i)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if next != last+1 {
		t.Fatalf("read to %d, want %d", next-1, last)
	}
	return got
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

func numbered(prefix string, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("%s-%d", prefix, i)
	}
	return list
}

// fileSize is -1 where there is no file.
func fileSize(name string) int64 {
	info, err := os.Stat(name)
	if err != nil {
		return -1
	}
	return info.Size()
}
