package eventlog

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"firn/commitlib/column"
	"firn/ingestd/event"
	"firn/ingestd/kv"
	"firn/ingestd/kv/rocks"
)

// unique makes n events of size bytes that differ from all others in a counter and 16 random hex digits, and compress
// about as logs do.
func unique(n, size int, keyed bool) *column.Batch {
	b := newBatch(event.Schema)
	b.Cols[event.ColPartition].SetInt32(0)
	b.Cols[event.ColTime].SetInt64(present.UnixMicro())
	if !keyed {
		b.Cols[event.ColKey].SetNull()
	}
	for i := range n {
		payload := fmt.Appendf(nil, `{"id":%08d,"trace":"%016x","level":"info","message":"`, i, rand.Uint64())
		payload = append(payload, bytes.Repeat([]byte("x"), max(0, size-2-len(payload)))...)
		if err := b.Cols[event.ColPayload].AppendBytes(append(payload, '"', '}')); err != nil {
			panic(err)
		}
		if keyed {
			if err := b.Cols[event.ColKey].AppendBytes(make([]byte, 16)); err != nil {
				panic(err)
			}
		}
		b.Len++
	}
	return b
}

// vary changes every event of the batch in place, cheaply.
func vary(b *column.Batch, rng *rand.Rand) {
	v := &b.Cols[event.ColPayload]
	var raw [8]byte
	for i := range b.Len {
		binary.LittleEndian.PutUint64(raw[:], rng.Uint64())
		hex.Encode(v.Bytes(i)[24:], raw[:])
		if keys := &b.Cols[event.ColKey]; !keys.Const {
			hex.Encode(keys.Bytes(i), raw[:])
		}
	}
}

func benchmarkAppend(b *testing.B, s kv.Store, events, size int, keyed bool) {
	c := Default()
	c.Schema, c.MaxBytes, c.MaxTableBytes = event.Schema, 1<<40, 1<<40
	l, err := Open(s, c)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	b.SetBytes(int64(events * size))
	b.ReportAllocs()
	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		rng := rand.New(rand.NewPCG(rand.Uint64(), 1))
		batch := unique(events, size, keyed)
		for p.Next() {
			vary(batch, rng)
			if _, err := l.Append(context.Background(), Append{Table: table("t"), Batch: batch, ReceivedAt: time.Now()}); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.StopTimer()
	st := l.Stats()
	b.ReportMetric(float64(st.AppendedEvents)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(st.Appends)/float64(st.Groups), "appends/sync")
	b.ReportMetric(float64(st.RawBytes)/float64(st.AppendedBytes), "compression")
}

func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("rocks/events=%d", n), func(b *testing.B) {
			s, err := rocks.Open(b.TempDir(), rocks.Default())
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			benchmarkAppend(b, s, n, 82, false)
		})
	}
	b.Run("rocks/keyed/events=100", func(b *testing.B) {
		s, err := rocks.Open(b.TempDir(), rocks.Default())
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		benchmarkAppend(b, s, 100, 82, true)
	})
	b.Run("nostore/events=100", func(b *testing.B) { benchmarkAppend(b, &sink{Mem: kv.NewMem()}, 100, 82, false) })
}

// sink takes everything and keeps nothing: what is left is the log's own cost.
type sink struct{ *kv.Mem }

func (s *sink) Write(*kv.Batch, bool) error { return nil }

func BenchmarkEncodeBlock(b *testing.B) {
	batch := unique(100, 82, false)
	b.SetBytes(82 * 100)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := encodeBlock(batch, 1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeBlock(b *testing.B) {
	v, _, err := encodeBlock(unique(100, 82, false), 1)
	if err != nil {
		b.Fatal(err)
	}
	v = place(v, 1, 1, nil)
	dst, tmp := newBatch(event.Schema), newBatch(event.Schema)
	b.SetBytes(82 * 100)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decodeBlock(v, dst, tmp); err != nil {
			b.Fatal(err)
		}
	}
}
