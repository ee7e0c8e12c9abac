package event

import (
	"fmt"
	"strings"
	"testing"
)

// bulkBody returns an envelope of n records, each made by record.
func bulkBody(n int, record func(i int) string) []byte {
	var b strings.Builder
	b.WriteString(`{"records":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(record(i))
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

// record82 is a small bulk record: 82 bytes with its comma.
func record82(i int) string {
	return fmt.Sprintf(`{"payload":"%024x","partition":%d,"timestamp_ms":%d}`, i*0x9e3779b97f4a7c1, i%10, 1_700_000_000_000+i%1000)
}

func bench(b *testing.B, body []byte, decode func(*Batch, []byte, Limits, Defaults) error) {
	b.Helper()
	lim, def := DefaultLimits(), wideDefaults()
	dst := Get(len(body))
	defer dst.Release()
	if err := decode(dst, body, lim, def); err != nil {
		b.Fatal(err)
	}
	events := dst.Len
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if err := decode(dst, body, lim, def); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*events), "ns/event")
}

func BenchmarkDecodeBulk(b *testing.B) {
	for _, n := range []int{1, 100, 3000} {
		b.Run(fmt.Sprintf("82-byte/%d", n), func(b *testing.B) { bench(b, bulkBody(n, record82), DecodeBulk) })
	}
	kinds := []struct {
		name   string
		record func(i int) string
	}{
		{"keyed", func(i int) string {
			return fmt.Sprintf(`{"payload":"%024x","idempotency_key":"0190c3f4-7b1c-7000-8000-%012x"}`, i, i)
		}},
		{"object", func(i int) string {
			return fmt.Sprintf(`{"payload":{"user":%d,"name":"somebody","tags":["a","b"],"ok":true,"score":%d.25},"partition":3}`, i, i)
		}},
		{"counter", func(i int) string {
			return fmt.Sprintf(`{"payload":{"id":%d,"session":"%016x","event":"click","p":"etaoin shrd"}}`, 700_000_000_000+i, uint64(i)*0x9e3779b97f4a7c15)
		}},
		{"click-1k", func(i int) string {
			return fmt.Sprintf(`{"payload":{"id":%d,"session":"%016x","url":"https://www.example.com/search?q=%d","words":[%s{"n":1.5e3,"ok":true}]}}`, i,
				uint64(i)*0x9e3779b97f4a7c15, i, strings.Repeat(`"home","product",17,{"x":null,"y":-3},`, 24))
		}},
		{"escaped", func(i int) string {
			return fmt.Sprintf(`{"payload":"{\"user\":%d,\"name\":\"somebody\",\"tags\":[\"a\",\"b\"]}","partition":3}`, i)
		}},
		{"text-1k", func(int) string { return `{"payload":"` + strings.Repeat("plain text. ", 85) + `"}` }},
		{"utf8-1k", func(int) string { return `{"payload":"` + strings.Repeat("größe, длина, 長さ. ", 40) + `"}` }},
	}
	for _, k := range kinds {
		b.Run(k.name, func(b *testing.B) { bench(b, bulkBody(1000, k.record), DecodeBulk) })
	}
}

func BenchmarkDecodeNDJSON(b *testing.B) {
	var lines strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&lines, `{"user":%d,"name":"somebody","tags":["a","b"],"ok":true}`+"\n", i)
	}
	bench(b, []byte(lines.String()), DecodeNDJSON)
}

func BenchmarkDecodeSingle(b *testing.B) {
	single := func(dst *Batch, body []byte, lim Limits, def Defaults) error {
		return DecodeSingle(dst, body, nil, lim, def)
	}
	for _, n := range []int{80, 1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { bench(b, []byte(strings.Repeat("x", n)), single) })
	}
}
