package httpapi

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"firn/ingestd/registry"
)

// FuzzExpand decompresses anything: within the bound, with memory given back, and as other readers of the formats do.
func FuzzExpand(f *testing.F) {
	const limit = 100_000
	for _, body := range []string{"", "a body", strings.Repeat("zeros ", 30_000)} {
		f.Add(gzipped([]byte(body)), true)
		f.Add(zstded([]byte(body)), false)
		f.Add(append(gzipped([]byte(body)), gzipped([]byte("more"))...), true)
		f.Add(append(zstded([]byte(body)), zstded([]byte("more"))...), false)
	}
	a := &API{expanders: make(chan *expander, 1)}
	a.expanders <- newExpander(limit)
	a.budget.limit = 1 << 20
	other, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, src []byte, gz bool) {
		encoding := "zstd"
		if gz {
			encoding = "gzip"
		}
		out := &buffer{budget: &a.budget}
		err := a.expand(out, src, encoding, limit)
		got := bytes.Clone(out.b)
		out.release()
		if held := a.budget.held.Load(); held != 0 {
			t.Fatalf("%d bytes were not given back", held)
		}
		if err != nil {
			var own *fault
			if !errors.As(err, &own) || own.code != "malformed_encoding" && own.code != "body_too_large" {
				t.Fatalf("%v is no fault of the sender's", err)
			}
			return
		}
		if len(got) > limit {
			t.Fatalf("%d bytes came through a bound of %d", len(got), limit)
		}
		if len(src) == 0 {
			return
		}
		var want []byte
		if gz {
			r, gerr := gzip.NewReader(bytes.NewReader(src))
			if err = gerr; err == nil {
				want, err = io.ReadAll(r)
			}
		} else {
			want, err = other.DecodeAll(src, nil)
		}
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%q became %d bytes, elsewhere %d (%v)", src, len(got), len(want), err)
		}
	})
}

// FuzzCursor takes nothing for a cursor that was not given out.
func FuzzCursor(f *testing.F) {
	table, log := uuid.MustParse("01a20745-4f38-761a-9d1a-fd94a30bbc4e"), uuid.MustParse("01a20745-4f38-761a-9d1a-fd94a30bbc4f")
	f.Add(encodeCursor(table, log, 7))
	f.Add("")
	f.Add(strings.Repeat("A", 60))
	f.Fuzz(func(t *testing.T, s string) {
		log, next, err := decodeCursor(s, table)
		if err == nil && encodeCursor(table, log, next) != s {
			t.Fatalf("%q was taken for log %s, sequence %d", s, log, next)
		}
	})
}

// FuzzSettings reads settings.
func FuzzSettings(f *testing.F) {
	f.Add([]byte(`{"payload":"binary","partition_by":["hour","partition"],"cut_interval":"1m30s"}`))
	f.Add([]byte(`{"payload":"text","payload":"text"}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		change, err := settingsChange(body)
		if err != nil {
			f := faultOf(err)
			if statusOf[f.code] != http.StatusBadRequest || f.byte > len(body) || strings.Contains(f.message, "Go ") {
				t.Fatalf("%q: %s, byte %d: %v", body, f.code, f.byte, err)
			}
			return
		}
		s := registry.DefaultSettings()
		if err := change(&s); err != nil {
			t.Fatalf("%q was taken, and then refused: %v", body, err)
		}
		_ = s.Validate()
	})
}
