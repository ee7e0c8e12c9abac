//go:build firnsim

package objectstore_test

import (
	"testing"

	"firn/commitlib/safeguard"
)

func switchOff(t *testing.T, name safeguard.Name) {
	safeguard.Switch(name, true)
	t.Cleanup(func() { safeguard.Switch(name, false) })
}

// TestWithoutExclusiveCreate: the second of two swaps from one base takes the first's place, and both were confirmed.
func TestWithoutExclusiveCreate(t *testing.T) {
	switchOff(t, safeguard.ExclusiveCreate)
	w := newWorld(t)
	base := w.create()
	first := w.swap(base)
	w.swap(base)
	if w.load(w.another()).Metadata.Snapshot(first.Metadata.CurrentSnapshotID) != nil {
		t.Error("the first commit is still there: the safeguard is not what kept it")
	}
}

// TestWithoutHintRaiseOnly: a hint that arrives late takes exact readers back to an older version.
func TestWithoutHintRaiseOnly(t *testing.T) {
	w := newWorld(t)
	base := w.create()
	slow := w.another()
	theirs := w.load(slow)
	w.swapBeforeHint(base, 2)
	switchOff(t, safeguard.HintRaiseOnly)
	if _, err := slow.Swap(t.Context(), theirs, w.change(theirs)); err != nil {
		t.Fatal(err)
	}
	w.wantHint("2")
	newest := w.load(w.another())
	if newest.Token != "4" {
		t.Errorf("loaded version %s: a hint that is behind must not hide commits from us", newest.Token)
	}
}
