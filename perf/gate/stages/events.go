package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"firn/commitlib/column"
	"firn/commitlib/iceberg"
	"firn/ingestd/event"
)

const (
	eventsOfRequest = 100
	requests        = 64 // different ones, taken in turn: the branch predictor must not learn a request by heart
	firstTime       = 1_790_000_000_000_000
)

// payload is an event of 82 bytes of JSON, of which there is no second one.
func payload(buf []byte, n int, rng *rand.Rand) []byte {
	buf = fmt.Appendf(buf, `{"n":%d,"device":"sensor-%04d","temp":%2d.%02d,"id":"%016x","ok":1`,
		100_000_000+n, rng.IntN(5000), 10+rng.IntN(20), rng.IntN(100), rng.Uint64())
	return append(buf, '}')
}

// bodies are bulk requests as producers send them.
func bodies(seed uint64) [][]byte {
	rng := rand.New(rand.NewPCG(seed, 0))
	all := make([][]byte, requests)
	for r := range all {
		b := []byte(`{"records":[`)
		for i := range eventsOfRequest {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(b, `{"payload":`...)
			b = payload(b, r*eventsOfRequest+i, rng)
			b = fmt.Appendf(b, `,"timestamp_ms":%d}`, firstTime/1000+int64(r*eventsOfRequest+i))
		}
		all[r] = append(b, `]}`...)
	}
	return all
}

// defaults are those of a table that takes any time.
func defaults() event.Defaults {
	return event.Defaults{TimeMicros: firstTime, MinTime: 0, MaxTime: firstTime + int64(365*24*time.Hour/time.Microsecond)}
}

// rows are events as the shipper gives them to the encoder: one log, dense sequences, requests that share a receipt time.
func rows(n int, seed uint64) (*column.Batch, error) {
	b, err := column.New(iceberg.EventSchema(iceberg.String))
	if err != nil {
		return nil, err
	}
	if err := b.Col(iceberg.FieldLog).SetBytes([]byte("01932f6e-7b1c-7000-8000-0000000000aa")); err != nil {
		return nil, err
	}
	b.Col(iceberg.FieldIdempotencyKey).SetNull()
	rng := rand.New(rand.NewPCG(seed, 1))
	var buf []byte
	at, received := int64(firstTime), int64(firstTime)
	for i := range n {
		at += int64(rng.IntN(20)) * 1000
		if i%eventsOfRequest == 0 {
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
