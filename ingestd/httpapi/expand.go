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

// expander decompresses whole bodies. There is one a CPU, since the work is nothing but CPU: the body has arrived in
// full, so nobody waits for a slow sender's expander.
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

// gzipBody reads the members of a gzip body. The reader's own way to do that takes a header that is cut off in its
// optional fields for the end of the body.
type gzipBody struct{ *expander }

func (b gzipBody) Read(p []byte) (int, error) {
	n, err := b.gzip.Read(p)
	if err == io.EOF && b.src.Len() > 0 {
		err = b.nextMember()
	}
	return n, err
}

// nextMember reads a member's header; io.EOF says that there is none.
func (e *expander) nextMember() error {
	if e.src.Len() == 0 {
		return io.EOF
	}
	if err := e.gzip.Reset(&e.src); err == io.EOF {
		return io.ErrUnexpectedEOF
	} else if err != nil {
		return err
	}
	e.gzip.Multistream(false)
	return nil
}

// expand decompresses src into dst and stops at the first byte beyond limit, however much more there would be. Several
// gzip members or zstd frames in a row are one body, as their formats say.
func (a *API) expand(dst *buffer, src []byte, encoding string, limit int) error {
	e := <-a.expanders
	defer func() { a.expanders <- e }()
	e.src.Reset(src)
	defer e.src.Reset(nil)

	var r io.Reader = e.zstd
	var err error
	if encoding == "gzip" {
		r = gzipBody{e}
		err = e.nextMember()
	} else {
		err = e.zstd.Reset(&e.src)
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
