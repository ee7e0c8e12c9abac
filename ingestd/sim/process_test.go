package sim

import (
	"context"
	"errors"
	"strings"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/catalog/twin"
	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

var errDead = errors.New("process was killed")

// process is what a node and a committer have in common: it can be killed at any instant, after which it does nothing
// any more to the world outside, and it can be suspended for a while, as a machine that sleeps.
type process struct {
	w      *world
	ctx    context.Context
	cancel context.CancelFunc
	thaw   time.Time
	sleeps bool // suspended right now
	woken  chan struct{}
}

func newProcess(w *world) *process {
	p := &process{w: w}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

func (p *process) alive() bool { return p.ctx.Err() == nil }

// enter is where a call leaves the process.
func (p *process) enter() error {
	defer p.w.turn()()
	if !p.alive() {
		return errDead
	}
	if d := time.Until(p.thaw); d > 0 && !p.w.calm {
		p.sleeps, p.woken = true, make(chan struct{})
		p.w.turn()
		select {
		case <-time.After(d):
		case <-p.woken:
		case <-p.ctx.Done():
		}
		p.sleeps = false
	}
	if !p.alive() {
		return errDead
	}
	return nil
}

// wake ends a suspension.
func (p *process) wake() {
	p.thaw = time.Time{}
	if p.sleeps {
		close(p.woken)
		p.w.wait(p.w.random(time.Millisecond, time.Second))
	}
}

// procStore is the object store as a process sees it.
type procStore struct {
	*objstore.Mem
	p *process
}

func (s procStore) Put(ctx context.Context, key string, body []byte, cond objstore.Condition) (objstore.Info, error) {
	if err := s.p.enter(); err != nil {
		return objstore.Info{}, err
	}
	info, err := s.Mem.Put(ctx, key, body, cond)
	if strings.Contains(key, "/metadata/v") {
		s.p.w.lookAtHint(key)
	}
	return info, err
}

func (s procStore) Get(ctx context.Context, key string) ([]byte, objstore.Info, error) {
	if err := s.p.enter(); err != nil {
		return nil, objstore.Info{}, err
	}
	return s.Mem.Get(ctx, key)
}

func (s procStore) ReadAt(ctx context.Context, key string, b []byte, off int64) (int, error) {
	if err := s.p.enter(); err != nil {
		return 0, err
	}
	return s.Mem.ReadAt(ctx, key, b, off)
}

func (s procStore) Head(ctx context.Context, key string) (objstore.Info, error) {
	if err := s.p.enter(); err != nil {
		return objstore.Info{}, err
	}
	return s.Mem.Head(ctx, key)
}

func (s procStore) List(ctx context.Context, prefix string, fn func(objstore.Info) error) error {
	if err := s.p.enter(); err != nil {
		return err
	}
	return s.Mem.List(ctx, prefix, fn)
}

func (s procStore) Delete(ctx context.Context, keys ...string) error {
	if err := s.p.enter(); err != nil {
		return err
	}
	return s.Mem.Delete(ctx, keys...)
}

// procCatalog is a catalog service as a process sees it.
type procCatalog struct {
	twin.Backend
	p *process
}

func (c procCatalog) Load(ctx context.Context, id catalog.Ident) (*catalog.Table, error) {
	if err := c.p.enter(); err != nil {
		return nil, err
	}
	return c.Backend.Load(ctx, id)
}

func (c procCatalog) Refresh(ctx context.Context, t *catalog.Table) (*catalog.Table, error) {
	if err := c.p.enter(); err != nil {
		return nil, err
	}
	return c.Backend.Refresh(ctx, t)
}

func (c procCatalog) Create(ctx context.Context, id catalog.Ident, spec catalog.Spec) (*catalog.Table, error) {
	if err := c.p.enter(); err != nil {
		return nil, err
	}
	return c.Backend.Create(ctx, id, spec)
}

func (c procCatalog) Swap(ctx context.Context, base *catalog.Table, ch catalog.Change) (*catalog.Table, error) {
	if err := c.p.enter(); err != nil {
		return nil, errors.Join(catalog.ErrUnknown, err)
	}
	return c.Backend.Swap(ctx, base, ch)
}

func (c procCatalog) SwapMetadata(ctx context.Context, base *catalog.Table, mutate func(*iceberg.Metadata) (*iceberg.Metadata, error)) (*catalog.Table, error) {
	if err := c.p.enter(); err != nil {
		return nil, errors.Join(catalog.ErrUnknown, err)
	}
	return c.Backend.SwapMetadata(ctx, base, mutate)
}

// client makes the process's own client of the catalog.
func (p *process) client() (catalog.Catalog, objstore.Store) {
	store := procStore{p.w.store, p}
	if p.w.service != nil {
		return procCatalog{p.w.service, p}, store
	}
	return objectstore.New(store, objectstore.Config{Logger: quiet, Retention: metadataRetention, NewUUID: p.w.newUUID}), store
}

// readOnly refuses to write: a look must leave no trace.
type readOnly struct{ *objstore.Mem }

var errReadOnly = errors.New("read only")

func (readOnly) Put(context.Context, string, []byte, objstore.Condition) (objstore.Info, error) {
	return objstore.Info{}, errReadOnly
}
func (readOnly) Delete(context.Context, ...string) error { return errReadOnly }
