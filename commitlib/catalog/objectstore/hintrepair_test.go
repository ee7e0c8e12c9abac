package objectstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/objectstore"
	"firn/commitlib/objstore"
)

// TestHints: whatever the hint says, the newest version is found, and the hint names it afterwards.
func TestHints(t *testing.T) {
	for _, hint := range []string{"7", "1", "6", "7\n", "3\n", "abc", "", "8", "99", "0", "-1", "07", "999999999999999998", "999999999999999999"} {
		t.Run(fmt.Sprintf("%q", hint), func(t *testing.T) {
			w := newWorld(t)
			newest := w.grow(7)
			w.put(hintKey, hint)
			if got := w.load(w.another()); got.Token != "7" || got.Metadata.CurrentSnapshotID != newest.Metadata.CurrentSnapshotID {
				t.Errorf("loaded version %s", got.Token)
			}
			w.wantHint("7")
		})
	}
	t.Run("missing", func(t *testing.T) {
		w := newWorld(t)
		w.grow(12) // more than one digit: lists sort v10 before v2
		if err := w.store.Delete(t.Context(), hintKey); err != nil {
			t.Fatal(err)
		}
		if got := w.load(w.another()); got.Token != "12" {
			t.Errorf("loaded version %s", got.Token)
		}
		w.wantHint("12")
	})
}

// TestHintsOverDeletedVersions: old versions are gone, with gaps among those that are left.
func TestHintsOverDeletedVersions(t *testing.T) {
	for _, test := range []struct {
		hint    string
		deleted []int
		age     time.Duration
	}{
		{"2", []int{1, 2, 3}, 0},
		{"1", []int{1, 2, 3, 4, 5, 6, 7, 8}, 0},
		{"garbage", []int{1, 2, 5, 7}, 0},
		// The hint's version is left and its successor is gone: that there is no successor
		// proves nothing, since it is old.
		{"3", []int{1, 2, 4, 5, 6}, objectstore.DefaultRetention},
		{"3", []int{4}, objectstore.DefaultRetention},
		{"9", []int{1, 2, 4}, 10 * objectstore.DefaultRetention},
	} {
		w := newWorld(t)
		w.grow(9)
		for _, n := range test.deleted {
			if err := w.store.Delete(t.Context(), versionKey(n)); err != nil {
				t.Fatal(err)
			}
		}
		w.put(hintKey, test.hint)
		w.at = w.at.Add(test.age)
		c := w.another()
		table := w.load(c)
		if table.Token != "9" {
			t.Errorf("hint %s without versions %v after %v: loaded version %s", test.hint, test.deleted, test.age, table.Token)
		}
		w.wantHint("9")
		if _, err := c.Swap(t.Context(), table, w.change(table)); err != nil {
			t.Errorf("swap: %v", err)
		}
		w.wantHint("10")
	}
}

// TestHintOnlyRaised: a committer whose hint arrives late does not take it back.
func TestHintOnlyRaised(t *testing.T) {
	w := newWorld(t)
	first := w.create()
	slow := w.another()
	theirs := w.load(slow)
	w.swapBeforeHint(first, 2)
	if _, err := slow.Swap(t.Context(), theirs, w.change(theirs)); err != nil {
		t.Fatal(err)
	}
	w.wantHint("4")
}

// swapBeforeHint lets others make so many versions after the next swap on base, before the swap's hint arrives.
func (w *world) swapBeforeHint(base *catalog.Table, versions int) {
	overtaken := false
	w.Cleanup(func() {
		if !overtaken {
			w.Error("the swap wrote no hint")
		}
	})
	w.store.SetFault(func(c objstore.Call) objstore.Fault {
		if c.Op == objstore.OpPut && c.Key == hintKey && !overtaken {
			overtaken = true
			return objstore.Fault{Latency: time.Second}
		}
		return objstore.Fault{}
	})
	w.store.SetClock(func() time.Time { return w.at }, func(ctx context.Context, _ time.Duration) error {
		table, err := w.cat.Refresh(ctx, base)
		for range versions {
			if err == nil {
				table, err = w.cat.Swap(ctx, table, w.change(table))
			}
		}
		if err != nil {
			w.Error(err)
		}
		return nil
	})
}

// TestHintFailure: an error in writing the hint is not the swap's, and the hint is repaired by whoever comes next.
func TestHintFailure(t *testing.T) {
	for name, fault := range map[string]objstore.Fault{
		"refused":       {Err: errors.New("access denied")},
		"lost request":  {Err: objstore.ErrUnknown},
		"lost response": {Applied: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			table := w.create()
			broken := true
			w.store.SetFault(func(c objstore.Call) objstore.Fault {
				if broken && c.Op == objstore.OpPut && c.Key == hintKey {
					return fault
				}
				return objstore.Fault{}
			})
			for range 3 {
				table = w.swap(table)
			}
			if table.Token != "4" {
				t.Fatalf("version %s", table.Token)
			}
			broken = false
			switch name {
			case "refused":
				w.wantHint("1")
				w.load(w.another())
				w.wantHint("4")
			case "lost request":
				w.wantHint("1")
				w.swap(table)
				w.wantHint("5")
			case "lost response":
				w.wantHint("4")
			}
		})
	}
}

// TestHintOfDeadWriter: a committer died between its swap and the hint. Nobody loads
// the table anew, but somebody polls it.
func TestHintOfDeadWriter(t *testing.T) {
	w := newWorld(t)
	table := w.create()
	poller := w.another()
	seen := w.load(poller)
	w.store.SetFault(func(c objstore.Call) objstore.Fault {
		if c.Op == objstore.OpPut && c.Key == hintKey {
			return objstore.Fault{Err: errors.New("died")}
		}
		return objstore.Fault{}
	})
	w.swap(table)
	w.store.SetFault(nil)
	w.store.ResetCounts()
	for range 20 {
		w.at = w.at.Add(time.Second)
		var err error
		if seen, err = poller.Refresh(t.Context(), seen); err != nil {
			t.Fatal(err)
		}
	}
	w.wantRequests("20 refreshes", map[objstore.Op]int{objstore.OpHead: 21, objstore.OpGet: 3, objstore.OpPut: 1})
	w.wantHint("2")
}

// TestHintAfterLostAnswer: a swap was made and its answer lost. The process learns that by a refresh, as a committer
// does after an unknown outcome, and readers see the version from then on: the next look may be hours away.
func TestHintAfterLostAnswer(t *testing.T) {
	for _, later := range []int{0, 2} { // versions that others made meanwhile, dying before the hint
		w := newWorld(t)
		table := w.create()
		w.store.SetFault(func(c objstore.Call) objstore.Fault {
			if c.Op == objstore.OpPut && c.Key == versionKey(2) {
				return objstore.Fault{Applied: true}
			}
			return objstore.Fault{}
		})
		if _, err := w.cat.Swap(t.Context(), table, w.change(table)); !errors.Is(err, catalog.ErrUnknown) {
			t.Fatalf("a swap whose answer is lost: %v", err)
		}
		w.store.SetFault(func(c objstore.Call) objstore.Fault {
			if c.Op == objstore.OpPut && c.Key == hintKey {
				return objstore.Fault{Err: errors.New("died")}
			}
			return objstore.Fault{}
		})
		other := w.another()
		theirs := w.load(other)
		for range later {
			var err error
			if theirs, err = other.Swap(t.Context(), theirs, w.change(theirs)); err != nil {
				t.Fatal(err)
			}
		}
		w.store.SetFault(nil)
		w.wantHint("1")
		w.store.ResetCounts()
		for range 2 {
			if _, err := w.cat.Refresh(t.Context(), table); err != nil {
				t.Fatal(err)
			}
		}
		w.wantHint(fmt.Sprint(2 + later))
		if n := w.store.Counts().Of(objstore.OpPut).Calls; n != 1 {
			t.Errorf("wrote the hint %d times", n)
		}
	}
}

// TestHintNotWritable: a poller that may only read asks again seldom.
func TestHintNotWritable(t *testing.T) {
	w := newWorld(t)
	w.grow(3)
	w.put(hintKey, "1")
	w.store.SetFault(func(c objstore.Call) objstore.Fault {
		if c.Op == objstore.OpPut {
			return objstore.Fault{Err: errors.New("access denied")}
		}
		return objstore.Fault{}
	})
	poller := w.another()
	table := w.load(poller)
	w.store.ResetCounts()
	for range 300 {
		w.at = w.at.Add(time.Second)
		if _, err := poller.Refresh(t.Context(), table); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.store.Counts().Of(objstore.OpPut).Calls; n > 1 {
		t.Errorf("tried to write the hint %d times in 5 minutes", n)
	}
}
