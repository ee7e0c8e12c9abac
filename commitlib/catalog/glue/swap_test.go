package glue_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/objstore"
	"firn/perf/peer"
)

// gatedStore holds back each Put until the gate opens.
type gatedStore struct {
	objstore.Store
	gate chan struct{}
}

func (s gatedStore) Put(ctx context.Context, key string, body []byte, cond objstore.Condition) (objstore.Info, error) {
	select {
	case <-s.gate:
		return s.Store.Put(ctx, key, body, cond)
	case <-ctx.Done():
		return objstore.Info{}, ctx.Err()
	}
}

// TestSideBySide: the metadata file is written while GetTable is under way, and UpdateTable is sent only once the file
// is durable.
func TestSideBySide(t *testing.T) {
	w := newWorld(t)
	base := w.create()
	gate := make(chan struct{})
	var mu sync.Mutex
	var written bool // when UpdateTable was sent
	w.proxy.Hook(func(r *peer.Request) peer.Fault {
		switch r.Operation {
		case "GetTable":
			close(gate)
		case "UpdateTable":
			mu.Lock()
			defer mu.Unlock()
			files := 0
			_ = w.store.List(context.Background(), "default/clicks/metadata/", func(objstore.Info) error { files++; return nil })
			written = files == 2
		}
		return peer.Fault{}
	})
	cfg := config(t, w.proxy.URL, newAccount(), gatedStore{w.store, gate})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := open(t, cfg).Swap(ctx, base, w.change(base)); err != nil {
		t.Errorf("the file waits for GetTable, and GetTable for the file: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if !written {
		t.Error("UpdateTable was sent before its metadata file was there")
	}
}

// TestForeignEdits: an entry that another user edits again and again, without touching the metadata, is a conflict at
// most where the edit falls between GetTable and UpdateTable; what the edit said survives.
func TestForeignEdits(t *testing.T) {
	w := newWorld(t)
	base := w.create()
	var once sync.Once
	w.proxy.Hook(func(r *peer.Request) peer.Fault {
		if r.Operation == "UpdateTable" {
			once.Do(func() { w.service.edit("default.clicks", func(e map[string]any) { e["Owner"] = "analytics" }) })
		}
		return peer.Fault{}
	})
	ch := w.change(base)
	_, err := w.cat.Swap(t.Context(), base, ch)
	wantError(t, err, catalog.ErrConflict)
	same, err := w.cat.Refresh(t.Context(), base)
	if err != nil || same != base {
		t.Fatalf("refresh: %v, %v", same, err)
	}
	if _, err := w.cat.Swap(t.Context(), base, ch); err != nil {
		t.Fatal(err)
	}
	if got := w.service.entry("default.clicks")["Owner"]; got != "analytics" {
		t.Errorf("the owner is %v", got)
	}
}
