package sim

import (
	"context"
	"errors"
	"time"

	"firn/commitlib/maintain"
	"firn/commitlib/objstore"
)

// sweep is the product's own sweep of a table, beside whatever else goes on and with the same faults. A table that was
// tampered with is left alone until that is put right: what an operator restores may need what a sweep takes.
func (w *world) sweep(t *table) {
	if w.peek(t) == nil || len(t.damage) > 0 {
		return
	}
	store := savingStore{w.store, w}
	s := maintain.NewSweeper(w.backend(w.store), store, maintain.Config{Retention: metadataRetention, Clock: time.Now})
	r, err := s.Sweep(context.Background(), t.id, maintain.Options{Scope: maintain.Whole})
	if total := r.Total(); total.Objects > 0 {
		w.step("sweep: %d objects of %s", total.Objects, t.id.Name)
	} else {
		w.step("sweep of %s: nothing (%s)", t.id.Name, r.Stopped)
	}
	if errors.Is(err, maintain.ErrDamaged) && len(t.damage) == 0 {
		w.bad("%v", err)
	}
}

// savingStore keeps data files that are removed for the oracle: it judges what a user took out of a table by them.
type savingStore struct {
	*objstore.Mem
	w *world
}

func (s savingStore) Delete(ctx context.Context, keys ...string) error {
	s.w.inCalm(func() {
		for _, key := range keys {
			if body, _, err := s.Mem.Get(ctx, key); err == nil {
				s.w.saved[objstore.Location(s.Mem, key)] = body
			}
		}
	})
	return s.Mem.Delete(ctx, keys...)
}
