package main

import (
	"fmt"
	"math/rand/v2"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
)

// kinds of events; every event is unique.
const (
	small = "82B"  // a reading of a sensor
	large = "1KiB" // a page view
)

const firstTime = 1_790_000_000_000_000 // microseconds

// events makes n events as the shipper gives them to the encoder: one log, dense sequences, requests of 100 events that
// share a receipt time, eight partitions.
func events(kind string, n int) (*column.Batch, error) {
	payload, ok := map[string]func([]byte, int, *rand.Rand) []byte{small: reading, large: view}[kind]
	if !ok {
		return nil, fmt.Errorf("no kind of events %q: %s or %s", kind, small, large)
	}
	b, err := column.New(iceberg.EventSchema(iceberg.String))
	if err != nil {
		return nil, err
	}
	if err := b.Col(iceberg.FieldLog).SetBytes([]byte("01932f6e-7b1c-7000-8000-0000000000aa")); err != nil {
		return nil, err
	}
	b.Col(iceberg.FieldIdempotencyKey).SetNull()
	rng := rand.New(rand.NewPCG(1, 2))
	var buf []byte
	at, received := int64(firstTime), int64(firstTime)
	for i := range n {
		at += int64(rng.IntN(20)) * 1000
		if i%100 == 0 {
			received = at + 50_000
		}
		b.Col(iceberg.FieldSequence).AppendInt64(int64(i) + 1)
		b.Col(iceberg.FieldPartition).AppendInt32(int32(rng.IntN(8)))
		b.Col(iceberg.FieldEventTime).AppendInt64(at)
		b.Col(iceberg.FieldIngestTime).AppendInt64(received)
		buf = payload(buf[:0], i, rng)
		if err := b.Col(iceberg.FieldPayload).AppendBytes(buf); err != nil {
			return nil, err
		}
		b.Len++
	}
	return b, nil
}

func reading(buf []byte, i int, rng *rand.Rand) []byte {
	return fmt.Appendf(buf, `{"n":%d,"device":"sensor-%04d","temp":%2d.%02d,"id":"%016x","ok":1}`,
		100_000_000+i, rng.IntN(5000), 10+rng.IntN(20), rng.IntN(100), rng.Uint64())
}

var words = []string{"winter", "boots", "ceramic", "kettle", "garden", "lamp", "copper", "wire", "paper", "tea", "oak", "table", "blue", "river", "stone", "cloud"}

func view(buf []byte, i int, rng *rand.Rand) []byte {
	word := func() string { return words[rng.IntN(len(words))] }
	buf = fmt.Appendf(buf, `{"event":"page_view","n":%d,"id":"%016x%016x","session":"%016x","user":{"id":%d,"country":"%s"},"page":{"path":"/products/%d/reviews","referrer":"https://www.example.com/search?q=%s","title":"`,
		i, rng.Uint64(), rng.Uint64(), rng.Uint64N(50_000), rng.IntN(1_000_000), []string{"DE", "US", "FR", "JP", "BR"}[rng.IntN(5)], rng.IntN(20_000), word())
	for range 6 {
		buf = append(append(buf, word()...), ' ')
	}
	buf = fmt.Appendf(buf, `"},"agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.%d.0 Safari/537.36","timing":{`,
		100+rng.IntN(30), rng.IntN(7000))
	for j := range 12 {
		buf = fmt.Appendf(buf, `"step_%d":%d.%03d,`, j, rng.IntN(2000), rng.IntN(1000))
	}
	buf = append(buf, `"total":0},"trace":"`...)
	for len(buf) < 1022 {
		buf = fmt.Appendf(buf, "%016x", rng.Uint64())
	}
	return append(buf[:1022], `"}`...)
}
