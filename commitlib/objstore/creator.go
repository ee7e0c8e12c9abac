package objstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
)

// Creator is what a store implements that can create objects too large for memory. All of ours do; a wrapper that hides
// it still works through Create, at the cost of holding the object in memory.
type Creator interface {
	// Create begins an object. Nothing of it can be read, listed or counted upon before Close has returned nil; the
	// condition is decided by Close, though a Create may refuse what is certain to be refused then. ctx holds for the
	// Writer's whole life.
	Create(ctx context.Context, key string, cond Condition) (Writer, error)
}

// Writer takes an object's bytes in order. It is for one goroutine.
//
// After Create call Close or Abort; Abort after Close does nothing, so that "defer w.Abort()" covers every early return.
// Close is no io.Closer's on purpose: a deferred Close after an error would publish half an object.
type Writer interface {
	io.Writer

	// Close makes the object durable and visible, whole, with the answers of Store.Put. A Write that returned an error
	// makes it return that error and publish nothing.
	Close() (Info, error)

	// Abort gives the object up and frees what it holds. Nothing of it was ever visible.
	Abort()
}

// ErrClosed is the answer of a Writer after its Close or Abort.
var ErrClosed = errors.New("object was closed or given up already")

// Create begins an object in any store.
func Create(ctx context.Context, s Store, key string, cond Condition) (Writer, error) {
	if c, ok := s.(Creator); ok {
		return c.Create(ctx, key, cond)
	}
	return newMemWriter(ctx, s, key, cond)
}

// Create implements Creator. The bytes are one Put's, made by Close.
func (m *Mem) Create(ctx context.Context, key string, cond Condition) (Writer, error) {
	return newMemWriter(ctx, m, key, cond)
}

// memWriter gathers an object in memory and puts it whole.
type memWriter struct {
	ctx    context.Context
	store  Store
	key    string
	cond   Condition
	body   bytes.Buffer
	closed bool
}

func newMemWriter(ctx context.Context, s Store, key string, cond Condition) (Writer, error) {
	if err := CheckPut(key, cond); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("create %q: %w", key, err)
	}
	return &memWriter{ctx: ctx, store: s, key: key, cond: cond}, nil
}

func (w *memWriter) Write(p []byte) (int, error) {
	if w.closed {
		return 0, fmt.Errorf("write %q: %w", w.key, ErrClosed)
	}
	return w.body.Write(p)
}

func (w *memWriter) Close() (Info, error) {
	if w.closed {
		return Info{}, fmt.Errorf("close %q: %w", w.key, ErrClosed)
	}
	w.closed = true
	return w.store.Put(w.ctx, w.key, w.body.Bytes(), w.cond)
}

func (w *memWriter) Abort() {
	w.closed = true
	w.body = bytes.Buffer{}
}
