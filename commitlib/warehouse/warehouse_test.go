package warehouse

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"firn/commitlib/catalog"
	"firn/commitlib/objstore"
)

func TestDirectory(t *testing.T) {
	dir := t.TempDir()
	w, err := Open(t.Context(), Settings{Warehouse: dir})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := errors.Join(w.Prove(t.Context()), w.Check(t.Context(), "default")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Catalog.Load(t.Context(), catalog.Ident{Namespace: "default", Name: "clicks"}); !errors.Is(err, catalog.ErrNoTable) {
		t.Errorf("load from an empty warehouse: %v", err)
	}
	// A warehouse that is gone is no warehouse without tables.
	if err := os.Rename(dir, dir+"-away"); err != nil {
		t.Fatal(err)
	}
	if err := w.Check(t.Context(), "default"); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("the directory is gone, and Check says %v", err)
	}
	if _, err := Open(t.Context(), Settings{Warehouse: dir}); err == nil || !strings.Contains(err.Error(), "mount or make") {
		t.Errorf("the directory is gone, and Open says %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("Open made the directory")
	}
}

func TestFileForDirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Settings{Warehouse: file}); err == nil || !strings.Contains(err.Error(), "is no directory") {
		t.Errorf("a file as warehouse: %v", err)
	}
}

// careless is a store that takes every write, as some that call themselves S3-compatible do.
type careless struct{ objstore.Store }

func (c careless) Put(ctx context.Context, key string, body []byte, _ objstore.Condition) (objstore.Info, error) {
	return c.Store.Put(ctx, key, body, objstore.Condition{})
}

func TestStoreWithoutConditionalWrites(t *testing.T) {
	w := &Warehouse{Store: careless{objstore.NewMem("s3://lake")}, settings: Settings{Warehouse: "s3://lake"}}
	if err := w.Prove(t.Context()); !errors.Is(err, ErrUnconditional) || !strings.Contains(err.Error(), "s3://lake") {
		t.Errorf("a store that overwrites: %v", err)
	}
}
