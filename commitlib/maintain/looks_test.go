package maintain

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"firn/commitlib"
	"firn/commitlib/objstore"
)

// Looks that were written by a clock that is wrong are not believed, and such a clock removes nothing.
func TestWrongClocksRemoveNothing(t *testing.T) {
	w := newWorld(t)
	log := w.log()
	w.append(w.committer(), log, 5)
	orphan := fmt.Sprintf("%sdata/%s-1-5-0-r1.parquet", w.root, log)
	w.put(orphan)
	off := func(d time.Duration) *Sweeper {
		return NewSweeper(w.cat, w.store, Config{Clock: func() time.Time { return w.clock().Add(d) }})
	}
	sweep := func(s *Sweeper) error {
		_, err := s.Sweep(context.Background(), w.id, Options{Scope: Whole})
		return err
	}
	if err := sweep(off(-24 * time.Hour)); err == nil || !strings.Contains(err.Error(), "clock") {
		t.Errorf("a clock that is a day behind: %v", err)
	}
	w.must(sweep(off(0)))
	if !w.has(orphan) {
		t.Fatal("removed by a look that a wrong clock dated back")
	}
	if err := sweep(off(24 * time.Hour)); err == nil || !w.has(orphan) {
		t.Errorf("a clock that is a day ahead: %v; the file is there: %v", err, w.has(orphan))
	}
	w.must(sweep(off(0)))
	w.pass(commitlib.StagedGrace + time.Minute)
	w.must(sweep(off(time.Minute)))
	if w.has(orphan) {
		t.Error("still there after two looks of right clocks")
	}
}

// Of two sweeps at once one goes on; losing the looks costs time alone.
func TestLooks(t *testing.T) {
	w := newWorld(t)
	log := w.log()
	w.append(w.committer(), log, 5)
	orphan := fmt.Sprintf("%sdata/%s-1-5-0-r1.parquet", w.root, log)
	w.put(orphan)
	w.sweep()
	looks := w.root + looksName
	w.pass(commitlib.StagedGrace + time.Minute)

	rival := false
	w.mem.SetFault(func(c objstore.Call) objstore.Fault {
		if c.Op == objstore.OpPut && c.Key == looks && !rival {
			rival = true
			return objstore.Fault{Err: objstore.ErrPrecondition}
		}
		return objstore.Fault{}
	})
	if r := w.sweep(); !strings.Contains(r.Stopped, "another sweep") || !w.has(orphan) {
		t.Errorf("beside a rival: stopped %q", r.Stopped)
	}
	for _, body := range []string{`{"v":1,"table":"018f3b1e-0000-7000-8000-000000000001","data":[{"at":1,"marks":"AAAAAAAAAAA"}]}`, "", "{", `{"v":2}`} {
		_, err := w.store.Put(context.Background(), looks, []byte(body), objstore.Condition{})
		w.must(err)
		if w.sweep(); !w.has(orphan) {
			t.Fatalf("removed at the first look after %q", body)
		}
	}
	// Put anew under its name it is another object.
	w.pass(commitlib.StagedGrace + time.Minute)
	w.put(orphan)
	if w.sweep(); !w.has(orphan) {
		t.Error("removed by a look at what was there before it")
	}
	w.pass(commitlib.StagedGrace + time.Minute)
	if w.sweep(); w.has(orphan) {
		t.Error("still there")
	}
}
