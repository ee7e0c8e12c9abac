package httpapi

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow is the largest zstd window taken: 8 MiB, the one that RFC 8878 asks every decoder to support. An
// expander holds one, so what all of them hold is one window a CPU.
const maxWindow = 8 << 20

// expander decompresses whole bodies. There is one a CPU, since the work is nothing but CPU: the body has arrived in full, so
// nobody waits for a slow sender's expander.
type expander struct {
	src  bytes.Reader
	gzip gzip.Reader
	zstd *zstd.Decoder
}

func newExpander(limit int) *expander {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(uint64(max(limit+1, maxWindow))))
	if err != nil {
		panic(fmt.Sprintf("zstd refuses constant options: %v", err)) // a broken build, not an input
	}
	return &expander{zstd: d}
}

// expand decompresses src into dst and stops at the first byte beyond limit, however much more there would be. Several gzip members or
// zstd frames in a row are one body, as their formats say.
func (a *API) expand(dst *buffer, src []byte, encoding string, limit int) error {
	e := <-a.expanders
	defer func() { a.expanders <- e }()
	e.src.Reset(src)
	defer e.src.Reset(nil)

	var r io.Reader
	var err error
	switch encoding {
	case "gzip":
		err = e.gzip.Reset(&e.src)
		r = &e.gzip
	case "zstd":
		err = e.zstd.Reset(&e.src)
		r = e.zstd
	}
	for err == nil {
		if len(dst.b) == cap(dst.b) {
			if len(dst.b) > limit {
				break
			}
			if err := dst.grow(limit + 1); err != nil {
				return err
			}
		}
		var n int
		n, err = r.Read(dst.b[len(dst.b):cap(dst.b)])
		dst.b = dst.b[:len(dst.b)+n]
	}
	switch {
	case len(dst.b) > limit || errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return tooLarge(limit)
	case err == io.EOF:
		return nil
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return newFault("malformed_encoding", "compress with a window of at most 8 MiB (zstd's levels up to 19 without --long)", "the zstd frame asks for a larger window than 8 MiB")
	}
	at := len(src) - e.src.Len()
	return &fault{code: "malformed_encoding", record: -1, byte: -1,
		hint:    "send the whole compressed body, or send it plain",
		message: fmt.Sprintf("the body is not %s, near byte %d of what was sent: %s", encoding, at, clip(err.Error()))}
}
