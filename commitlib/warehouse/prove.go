package warehouse

import (
	"context"
	"errors"
	"fmt"

	"firn/commitlib/catalog"
	"firn/commitlib/objstore"
)

// proofKey is an object that Prove leaves in a warehouse. No namespace begins with an underscore.
const proofKey = "_firn/conditional-writes"

// proofBody says to whoever finds the object what it is for.
const proofBody = "Firn made this object, and made sure that it could not be made twice: commits rest on that. It may be removed.\n"

// ErrUnconditional says that the store overwrites what it was told to create exclusively. Commits would overwrite one
// another there, and staged files those that snapshots name: nothing may be written to such a store.
var ErrUnconditional = errors.New("object store ignores If-None-Match")

// Check asks the store and the catalog for something small, and says what is wrong with either. It makes nothing.
func (w *Warehouse) Check(ctx context.Context, namespace string) error {
	if w.settings.Warehouse != EveryBucket {
		if _, err := w.Store.Head(ctx, proofKey); err != nil && !errors.Is(err, objstore.ErrNotExist) {
			return fmt.Errorf("the warehouse %s cannot be read: %w", w.settings.Warehouse, err)
		}
	}
	if w.settings.Catalog == ObjectStore {
		return nil
	}
	// One request on every service; a list of the tables would be many.
	if _, err := w.Catalog.Load(ctx, catalog.Ident{Namespace: namespace, Name: "firn_check"}); err != nil && !errors.Is(err, catalog.ErrNoTable) {
		return fmt.Errorf("the catalog (%s) cannot be read: %w", w.settings.Catalog, err)
	}
	return nil
}

// Prove shows that this process may write to the warehouse, and that the store honours exclusive creation: by creating
// an object twice. ErrUnconditional where the second one was taken; any other error says what is wrong, and proves
// nothing either way. A directory has shown as much when it was opened; where tables may lie in any bucket there is none
// to try it on: nil is returned.
func (w *Warehouse) Prove(ctx context.Context) error {
	if !w.settings.OnS3() || w.settings.Warehouse == EveryBucket {
		return nil
	}
	for range 2 { // the first finds it there already, but for the first start ever
		_, err := w.Store.Put(ctx, proofKey, []byte(proofBody), objstore.Condition{Absent: true})
		switch {
		case errors.Is(err, objstore.ErrPrecondition):
			return nil
		case err != nil:
			return fmt.Errorf("the warehouse %s cannot be written: %w", w.settings.Warehouse, err)
		}
	}
	return fmt.Errorf("the warehouse %s: %w (it created %s twice): use a store with conditional writes, such as S3 itself, MinIO or versitygw",
		w.settings.Warehouse, ErrUnconditional, proofKey)
}
