package warehouse

import (
	"context"
	"fmt"
	"os"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/objstore"
)

// Warehouse is an opened store with its catalog. Both are safe for concurrent use.
type Warehouse struct {
	Store   objstore.Store
	Catalog catalog.Catalog

	settings Settings
}

// Open opens what the settings name. It sends nothing.
func Open(ctx context.Context, s Settings) (*Warehouse, error) {
	s = s.WithDefaults()
	if err := s.Validate(); err != nil {
		return nil, err
	}
	w := &Warehouse{settings: s}
	if err := w.openStore(ctx); err != nil {
		return nil, fmt.Errorf("open warehouse: %w", err)
	}
	if err := w.openCatalog(ctx); err != nil {
		return nil, fmt.Errorf("open catalog: %w", err)
	}
	return w, nil
}

// openDir opens a directory that must be there.
func openDir(path string) (objstore.Store, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("%w: mount or make the directory that the tables lie in", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("%s is no directory", path)
	}
	return objstore.OpenDir(path)
}

func (w *Warehouse) openStore(context.Context) (err error) {
	if w.settings.OnS3() {
		return fmt.Errorf("%s: S3 is not linked", w.settings.Warehouse)
	}
	w.Store, err = openDir(w.settings.Warehouse)
	return err
}

func (w *Warehouse) openCatalog(context.Context) error {
	switch w.settings.Catalog {
	case ObjectStore:
		w.Catalog = objectstore.New(w.Store, objectstore.Config{Logger: w.settings.Logger})
		return nil
	default:
		return fmt.Errorf("%s is not linked", w.settings.Catalog)
	}
}
