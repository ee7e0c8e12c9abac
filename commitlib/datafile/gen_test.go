package datafile

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"testing"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
)

// payloadKind is what the events of a generated batch look like. No two payloads are equal in any of them: a repeated
// body compresses to nothing and flatters every figure.
type payloadKind int

const (
	counter payloadKind = iota // 82 bytes of JSON: a counter and a few fields
	page                       // about 1 KiB of JSON: a page view with nested fields
	noise                      // 200 random bytes: nothing to compress
)

func (k payloadKind) String() string { return [...]string{"counter82B", "json1KiB", "random200B"}[k] }

// firstTime is the first event's time in microseconds.
const firstTime = 1_790_000_000_000_000

// events makes n events as ingestd has them: one log, dense sequences, 8 lanes, requests of 100 events that share
// a receipt time, event times that rise by some milliseconds with a little disorder, no keys.
func events(t testing.TB, n int, kind payloadKind, seed uint64) *column.Batch {
	t.Helper()
	b, err := column.New(iceberg.EventSchema(iceberg.String))
	if err != nil {
		t.Fatal(err)
	}
	if kind == noise {
		b.Schema = iceberg.EventSchema(iceberg.Binary)
	}
	r := rand.New(rand.NewPCG(seed, 0))
	if err := b.Col(iceberg.FieldLog).SetBytes([]byte("01932f6e-7b1c-7000-8000-0000000000aa")); err != nil {
		t.Fatal(err)
	}
	b.Col(iceberg.FieldIdempotencyKey).SetNull()
	var buf []byte
	at, received := int64(firstTime), int64(firstTime)
	for i := range n {
		at += int64(r.IntN(20)) * 1000
		if i%100 == 0 {
			received = at + 50_000 + int64(r.IntN(10_000))
		}
		b.Col(iceberg.FieldSequence).AppendInt64(int64(i) + 1)
		b.Col(iceberg.FieldPartition).AppendInt32(int32(r.IntN(8)))
		b.Col(iceberg.FieldEventTime).AppendInt64(at - int64(r.IntN(5))*1000)
		b.Col(iceberg.FieldIngestTime).AppendInt64(received)
		buf = appendPayload(buf[:0], kind, i, at, r)
		if err := b.Col(iceberg.FieldPayload).AppendBytes(buf); err != nil {
			t.Fatal(err)
		}
		b.Len++
	}
	return b
}

func appendPayload(buf []byte, kind payloadKind, i int, at int64, r *rand.Rand) []byte {
	switch kind {
	case counter:
		buf = fmt.Appendf(buf, `{"n":%09d,"device":"sensor-%04d","temp":%2d.%02d,"id":"`, i, r.IntN(5000), 10+r.IntN(20), r.IntN(100))
		buf = hexOf(buf, r.Uint64())
		for len(buf) < 80 {
			buf = append(buf, '0')
		}
		return append(buf[:80], `"}`...)
	case page:
		buf = fmt.Appendf(buf, `{"event":"page_view","id":"`)
		buf = hexOf(hexOf(buf, r.Uint64()), r.Uint64())
		buf = fmt.Appendf(buf, `","at":%d,"session":"`, at/1000)
		buf = hexOf(buf, r.Uint64N(50_000))
		buf = fmt.Appendf(buf, `","user":{"id":%d,"plan":"%s","country":"%s"},"page":{"path":"/products/%d/reviews","referrer":"https://www.example.com/search?q=%s","title":"`,
			r.IntN(1_000_000), pickOf(r, "free", "pro", "team"), pickOf(r, "DE", "US", "FR", "JP", "BR"), r.IntN(20_000), pickOf(r, words...))
		for range 6 {
			buf = append(append(buf, pickOf(r, words...)...), ' ')
		}
		buf = fmt.Appendf(buf, `"},"agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.%d.0 Safari/537.36","timing":{`, 100+r.IntN(30), r.IntN(7000))
		for j := range 12 {
			buf = fmt.Appendf(buf, `"step_%d":%d.%03d,`, j, r.IntN(2000), r.IntN(1000))
		}
		buf = append(buf, `"total":0},"trace":"`...)
		for len(buf) < 1000 {
			buf = hexOf(buf, r.Uint64())
		}
		return append(buf, `"}`...)
	}
	for range 25 {
		buf = binary.LittleEndian.AppendUint64(buf, r.Uint64())
	}
	return buf
}

var words = []string{"winter", "boots", "ceramic", "kettle", "garden", "lamp", "copper", "wire", "paper", "tea", "oak", "table", "blue", "river", "stone", "cloud"}

func pickOf(r *rand.Rand, of ...string) string { return of[r.IntN(len(of))] }

func hexOf(buf []byte, x uint64) []byte {
	var raw [8]byte
	binary.BigEndian.PutUint64(raw[:], x)
	return hex.AppendEncode(buf, raw[:])
}
