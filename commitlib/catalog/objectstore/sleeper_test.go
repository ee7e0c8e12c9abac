package objectstore_test

import (
	"errors"
	"testing"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/objstore"
)

// TestSleeper: the name after an old base may be free again because its version was deleted. Creating it would
// confirm a commit that nobody can see.
func TestSleeper(t *testing.T) {
	w := newWorld(t)
	base := w.create()
	sleeper := w.another()
	asleep := w.load(sleeper)
	table := base
	for range 5 {
		table = w.swap(table)
	}
	w.at = w.at.Add(objectstore.DefaultRetention + time.Hour)
	for n := 1; n < 6; n++ {
		if err := w.store.Delete(t.Context(), versionKey(n)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := sleeper.Swap(t.Context(), asleep, w.change(asleep)); !errors.Is(err, catalog.ErrConflict) {
		t.Fatalf("swap on a base of long ago: %v", err)
	}
	now, err := sleeper.Refresh(t.Context(), asleep)
	if err != nil || now.Token != "6" {
		t.Fatalf("refresh: %+v, %v", now, err)
	}
	if _, err := sleeper.Swap(t.Context(), now, w.change(now)); err != nil {
		t.Errorf("swap on what it was refreshed to: %v", err)
	}
}

// TestSleeperInSwap: the same, but the process sleeps between looking at the clock and creating the version.
func TestSleeperInSwap(t *testing.T) {
	w := newWorld(t)
	base := w.create()
	w.store.SetFault(func(c objstore.Call) objstore.Fault {
		if c.Op == objstore.OpPut && c.Key == versionKey(2) {
			w.at = w.at.Add(objectstore.DefaultRetention + time.Hour)
		}
		return objstore.Fault{}
	})
	if _, err := w.cat.Swap(t.Context(), base, w.change(base)); !errors.Is(err, catalog.ErrUnknown) {
		t.Errorf("swap: %v", err)
	}
}

// TestQuietTable: a table without commits for months stays usable, at the cost of a list now and then.
func TestQuietTable(t *testing.T) {
	w := newWorld(t)
	table := w.grow(2)
	polled := table
	for range 100 {
		w.at = w.at.Add(objectstore.DefaultRetention / 10)
		got, err := w.cat.Refresh(t.Context(), polled)
		if err != nil || got != polled {
			t.Fatalf("refresh: %v, %v", got, err)
		}
	}
	w.at = w.at.Add(10 * objectstore.DefaultRetention)
	got, err := w.cat.Refresh(t.Context(), polled)
	if err != nil || got != polled {
		t.Fatalf("refresh after a long time: %v, %v", got, err)
	}
	w.swap(polled)
}

// TestRemade: a table that was removed and made anew has lower versions than were seen before; polling it stays cheap.
func TestRemade(t *testing.T) {
	w := newWorld(t)
	w.grow(9)
	for n := 1; n <= 9; n++ {
		if err := w.store.Delete(t.Context(), versionKey(n)); err != nil {
			t.Fatal(err)
		}
	}
	w.at = w.at.Add(time.Second)
	table := w.create()
	w.store.ResetCounts()
	for range 50 {
		w.at = w.at.Add(objectstore.DefaultRetention / 10)
		if got, err := w.cat.Refresh(t.Context(), table); err != nil || got != table {
			t.Fatalf("refresh: %v, %v", got, err)
		}
	}
	w.wantRequests("50 refreshes", map[objstore.Op]int{objstore.OpHead: 50})
}
