package eventlog

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
	"firn/ingestd/event"
)

// sample makes blocks of every shape: constant columns, nulls, keys, dropped rows,
// data that does and does not compress.
func sample(t testing.TB, rng *rand.Rand) (v []byte, want *column.Batch) {
	t.Helper()
	b := newBatch(event.Schema)
	n := 1 + rng.IntN(200)
	constant := rng.IntN(2) == 0
	for i := range n {
		if !constant {
			b.Cols[event.ColPartition].AppendInt32(int32(rng.Uint32()))
			b.Cols[event.ColTime].AppendInt64(int64(rng.Uint64()))
		}
		if rng.IntN(3) == 0 {
			b.Cols[event.ColKey].AppendNull()
		} else if err := b.Cols[event.ColKey].AppendBytes([]byte(noise(rng, rng.IntN(5)))); err != nil {
			t.Fatal(err)
		}
		payload := bytes.Repeat([]byte{byte(i)}, rng.IntN(50))
		if rng.IntN(2) == 0 {
			payload = []byte(noise(rng, rng.IntN(50)))
		}
		if err := b.Cols[event.ColPayload].AppendBytes(payload); err != nil {
			t.Fatal(err)
		}
		b.Len++
	}
	if constant {
		b.Cols[event.ColPartition].SetInt32(-5)
		b.Cols[event.ColTime].SetInt64(1 << 60)
		b.Cols[event.ColKey].SetNull()
	}
	block, _, err := encodeBlock(b, 1234567)
	if err != nil {
		t.Fatal(err)
	}
	var dropped []uint64
	want = b
	if rng.IntN(2) == 0 && n > 1 {
		dropped = make([]uint64, (n+63)/64)
		want = newBatch(event.Schema)
		for i := range n {
			if i > 0 && rng.IntN(2) == 0 {
				dropped[i/64] |= 1 << (i % 64)
			} else if err := want.Append(b, i, i+1); err != nil {
				t.Fatal(err)
			}
		}
		if want.Len == n {
			dropped = nil
		}
	}
	return place(block, 7, 99, dropped), want
}

func TestBlockRoundTrip(t *testing.T) {
	for seed := range uint64(300) {
		v, want := sample(t, rand.New(rand.NewPCG(seed, 1)))
		dst, tmp := newBatch(event.Schema), newBatch(event.Schema)
		h, err := decodeBlock(v, dst, tmp)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if h.track != 7 || h.first != 99 || h.ingest != 1234567 || h.count != want.Len {
			t.Errorf("seed %d: header %+v", seed, h)
		}
		same(t, dst, want)
	}
}

func same(t testing.TB, got, want *column.Batch) {
	t.Helper()
	if got.Len != want.Len {
		t.Fatalf("%d rows, want %d", got.Len, want.Len)
	}
	for c := range want.Cols {
		g, w := &got.Cols[c], &want.Cols[c]
		for i := range want.Len {
			if g.Null(i) != w.Null(i) || !g.Null(i) && (w.Kind == column.Int32 && g.Int32(i) != w.Int32(i) ||
				w.Kind == column.Int64 && g.Int64(i) != w.Int64(i) || w.Kind == column.Bytes && !bytes.Equal(g.Bytes(i), w.Bytes(i))) {
				t.Fatalf("column %d, row %d differs", c, i)
			}
		}
	}
}

// A schema may lose and gain columns: a block is read by field id.
func TestBlockFollowsTheSchema(t *testing.T) {
	v, want := sample(t, rand.New(rand.NewPCG(5, 5)))
	other := &iceberg.Schema{Fields: []iceberg.Field{
		{ID: 100, Name: "new", Type: iceberg.Long},
		{ID: iceberg.FieldPayload, Name: "payload", Required: true, Type: iceberg.Binary},
	}}
	dst, tmp := newBatch(other), newBatch(other)
	if _, err := decodeBlock(v, dst, tmp); err != nil {
		t.Fatal(err)
	}
	if dst.Len != want.Len || !dst.Cols[0].Null(0) || !reflect.DeepEqual(dst.Cols[1].Bytes(0), want.Cols[event.ColPayload].Bytes(0)) {
		t.Error("read something else")
	}
	required := &iceberg.Schema{Fields: []iceberg.Field{{ID: 100, Name: "new", Required: true, Type: iceberg.Long}}}
	if _, err := decodeBlock(v, newBatch(required), newBatch(required)); err == nil {
		t.Error("a required column was made up")
	}
}

func TestEveryFlippedBitOfABlockIsNoticed(t *testing.T) {
	v, _ := sample(t, rand.New(rand.NewPCG(9, 9)))
	dst, tmp := newBatch(event.Schema), newBatch(event.Schema)
	for i := range 8 * len(v) {
		bad := bytes.Clone(v)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := decodeBlock(bad, dst, tmp); err == nil {
			t.Fatalf("bit %d of byte %d flipped: no error", i%8, i/8)
		}
	}
	for n := range v {
		if _, err := decodeBlock(v[:n], dst, tmp); err == nil {
			t.Fatalf("cut to %d bytes: no error", n)
		}
	}
}

func FuzzBlock(f *testing.F) {
	for seed := range uint64(10) {
		v, _ := sample(f, rand.New(rand.NewPCG(seed, 1)))
		f.Add(v)
	}
	dst, tmp := newBatch(event.Schema), newBatch(event.Schema)
	f.Fuzz(func(t *testing.T, v []byte) {
		h, err := decodeBlock(v, dst, tmp)
		if err != nil {
			return
		}
		if err := dst.Validate(); err != nil || dst.Len != h.count {
			t.Errorf("%d rows of %d, %v", dst.Len, h.count, err)
		}
	})
}

// FuzzColumns goes past the checksums, where a fault of our own would be.
func FuzzColumns(f *testing.F) {
	for seed := range uint64(10) {
		_, b := sample(f, rand.New(rand.NewPCG(seed, 1)))
		f.Add(encodeColumns(nil, b), b.Len)
	}
	f.Fuzz(func(t *testing.T, raw []byte, rows int) {
		if rows < 1 || rows > maxBlockRows {
			return
		}
		dst := newBatch(event.Schema)
		if err := decodeColumns(raw, dst, rows); err != nil {
			return
		}
		again := newBatch(event.Schema)
		if err := decodeColumns(encodeColumns(nil, dst), again, rows); err != nil {
			t.Fatal(err)
		}
		if rows < 10_000 {
			same(t, again, dst)
		}
	})
}

func FuzzRecords(f *testing.F) {
	f.Add(indexKey(nil, 1, 2), indexEntry{first: 2, position: 3, count: 4, raw: 5, ingest: 6, length: 7}.append(nil))
	f.Add([]byte{}, Cut{First: 1, Last: 2, SchemaID: 3, SpecID: 4, Attempt: 5, Request: []byte("r")}.append(nil))
	f.Add([]byte{}, appendState(nil, 1, 2))
	f.Add([]byte{}, firstResult{seq: 1, ms: 2}.append(nil))
	f.Fuzz(func(t *testing.T, k, v []byte) {
		if track, e, err := decodeIndex(k, v); err == nil && (!bytes.Equal(indexKey(nil, track, e.first), k) || !bytes.Equal(e.append(nil), v)) {
			t.Error("index entry changes on its way")
		}
		if c, err := decodeCut(v); err == nil && !bytes.Equal(c.append(nil), v) {
			t.Error("cut changes on its way")
		}
		if c, l, err := decodeState(v); err == nil && !bytes.Equal(appendState(nil, c, l), v) {
			t.Error("watermarks change on their way")
		}
		if r, err := decodeFirstResult(v); err == nil && !bytes.Equal(r.append(nil), v) {
			t.Error("first result changes on its way")
		}
		if log, table, err := decodeTrack(v); err == nil && !bytes.Equal(appendTrack(nil, log, table), v) {
			t.Error("track changes on its way")
		}
	})
}
