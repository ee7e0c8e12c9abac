package s3store

import (
	"context"
	"fmt"
	"hash/crc32"
	"sync"

	"firn/commitlib/objstore"
)

// firstBufferBytes is what a writer begins with: many objects are small, and their buffers grow as they do.
const firstBufferBytes = 256 << 10

// Create implements objstore.Creator. An object that fits into one part is one PUT, made by Close; of a larger one each
// part is sent as soon as it is full. Write waits while all of the store's part buffers are on their way.
func (s *Store) Create(ctx context.Context, key string, cond objstore.Condition) (objstore.Writer, error) {
	if err := objstore.CheckPut(key, cond); err != nil {
		return nil, err
	}
	at, err := s.locate(key)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("create %q: %w", key, err)
	}
	sending, cancel := context.WithCancel(ctx)
	return &writer{s: s, ctx: ctx, sending: sending, cancel: cancel, key: key, at: at, cond: cond}, nil
}

// writer is an object under way. It owns the buffer that it fills; a full one changes places with a spare one of the
// store, which comes back when its part has been sent. So a writer waits for uploads alone, never for another writer.
type writer struct {
	s       *Store
	ctx     context.Context // the caller's
	sending context.Context // ends with Abort, and with the first part that cannot be sent
	cancel  context.CancelFunc
	key     string
	at      object
	cond    objstore.Condition

	buf    []byte
	size   int64
	crc    uint32
	upload *upload // nil while one part is enough
	number int
	parts  sync.WaitGroup
	err    error // the first that a Write returned
	closed bool
}

func (w *writer) Write(p []byte) (int, error) {
	if w.closed {
		return 0, fmt.Errorf("write %q: %w", w.key, objstore.ErrClosed)
	}
	n := 0
	for w.err == nil && n < len(p) {
		if len(w.buf) == int(w.s.cfg.PartBytes) {
			if err := w.sendBuffer(); err != nil {
				w.err = fmt.Errorf("write %q: %w", w.key, err)
				break
			}
		}
		m := min(len(p)-n, int(w.s.cfg.PartBytes)-len(w.buf))
		w.grow(m)
		w.buf = append(w.buf, p[n:n+m]...)
		w.crc = crc32.Update(w.crc, castagnoli, p[n:n+m])
		w.size += int64(m)
		n += m
	}
	return n, w.err
}

// grow makes room for n bytes, by doubling up to one part and never beyond.
func (w *writer) grow(n int) {
	need := len(w.buf) + n
	if need <= cap(w.buf) {
		return
	}
	size := max(2*cap(w.buf), firstBufferBytes)
	for size < need {
		size *= 2
	}
	buf := make([]byte, len(w.buf), min(size, int(w.s.cfg.PartBytes)))
	copy(buf, w.buf)
	w.buf = buf
}

// sendBuffer hands the full buffer over to be sent, and takes an empty one.
func (w *writer) sendBuffer() error {
	if w.upload == nil {
		u, err := w.s.begin(w.sending, w.key, w.at, w.cond != (objstore.Condition{}))
		if err != nil {
			return err
		}
		w.upload = u
	}
	if w.number == maxParts {
		return fmt.Errorf("it has more than %d bytes, which %d parts of %d hold: make it smaller", w.size, maxParts, w.s.cfg.PartBytes)
	}
	spare, ok := w.s.takeBuffer(w.sending)
	if !ok {
		if err := w.upload.failure(); err != nil {
			return err
		}
		return w.ctx.Err()
	}
	full := w.buf
	w.buf = spare
	w.number++
	w.upload.start(w.sending, w.cancel, &w.parts, w.number, full, func() { w.s.parts <- full })
	return nil
}

func (w *writer) Close() (objstore.Info, error) {
	if w.closed {
		return objstore.Info{}, fmt.Errorf("close %q: %w", w.key, objstore.ErrClosed)
	}
	if w.err != nil {
		w.Abort()
		return objstore.Info{}, w.err
	}
	info, err := w.close()
	w.closed, w.buf = true, nil
	w.cancel()
	if err != nil {
		return objstore.Info{}, fmt.Errorf("put %q: %w", w.key, err)
	}
	return info, nil
}

func (w *writer) close() (objstore.Info, error) {
	if w.upload == nil {
		return w.s.putWhole(w.ctx, w.key, w.at, w.buf, w.cond)
	}
	err := w.sendBuffer()
	w.parts.Wait()
	if err != nil {
		w.upload.abort(w.ctx)
		return objstore.Info{}, err
	}
	return w.s.finish(w.ctx, w.upload, w.size, w.crc, w.cond)
}

func (w *writer) Abort() {
	if w.closed {
		return
	}
	w.closed, w.buf = true, nil
	w.cancel()
	w.parts.Wait()
	if w.upload != nil {
		w.upload.abort(w.ctx)
	}
}
