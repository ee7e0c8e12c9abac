package objstore

import (
	"context"
	"fmt"
	"hash/crc32"
)

// Create implements Creator: by the steps of a Put, with step 2 spread over the calls of Write. A writer that is killed,
// or forgotten, leaves a temporary file; one that writes nothing for tempAge may find it taken for such a remainder, and
// its Close is then an error that left nothing.
func (d *Dir) Create(ctx context.Context, key string, cond Condition) (Writer, error) {
	if err := CheckPut(key, cond); err != nil {
		return nil, err
	}
	w, err := d.create(ctx, key, cond)
	if err != nil {
		return nil, fmt.Errorf("create %q: %w", key, err)
	}
	return w, nil
}

func (d *Dir) create(ctx context.Context, key string, cond Condition) (*dirWriter, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := d.present(); err != nil {
		return nil, err
	}
	if err := d.refuseEarly(key, cond); err != nil {
		return nil, err
	}
	if err := d.makeFolders(key); err != nil {
		return nil, explain(err)
	}
	temp := d.tempName()
	f, err := d.sys.create(temp)
	if err != nil {
		return nil, explain(err)
	}
	return &dirWriter{ctx: ctx, d: d, key: key, cond: cond, temp: temp, f: f}, nil
}

// dirWriter fills a temporary file and gives it its name at the end.
type dirWriter struct {
	ctx  context.Context
	d    *Dir
	key  string
	cond Condition
	temp string
	f    file // nil once closed
	crc  uint32
	size int64
	err  error // the first that a Write returned
}

func (w *dirWriter) Write(p []byte) (int, error) {
	if w.f == nil {
		return 0, fmt.Errorf("write %q: %w", w.key, ErrClosed)
	}
	err := w.err
	if err == nil {
		err = w.ctx.Err()
	}
	n := 0
	if err == nil {
		n, err = w.f.Write(p)
	}
	w.crc = crc32.Update(w.crc, castagnoli, p[:n])
	w.size += int64(n)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("write %q: %w", w.key, explain(err))
	}
	return n, w.err
}

func (w *dirWriter) Close() (Info, error) {
	if w.f == nil {
		return Info{}, fmt.Errorf("close %q: %w", w.key, ErrClosed)
	}
	if w.err != nil {
		w.Abort()
		return Info{}, w.err
	}
	st, err := finish(w.f, w.size)
	w.f = nil
	if err == nil {
		err = w.ctx.Err()
	}
	if err != nil {
		_ = w.d.sys.unlink(w.temp)
		return Info{}, fmt.Errorf("put %q: %w", w.key, explain(err))
	}
	info, err := w.d.publishDurably(w.ctx, w.temp, w.key, st, w.crc, w.cond)
	if err != nil {
		return Info{}, fmt.Errorf("put %q: %w", w.key, err)
	}
	return info, nil
}

func (w *dirWriter) Abort() {
	if w.f == nil {
		return
	}
	_ = w.f.Close()
	w.f = nil
	_ = w.d.sys.unlink(w.temp) // what cannot be removed now is removed by a later open
}
