package twin_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"firn/commitlib/catalog"
	"firn/commitlib/catalog/twin"
	"firn/commitlib/iceberg"
)

// TestLateChanges: late changes meet the service's check when they arrive, in the order in which they fall due.
func TestLateChanges(t *testing.T) {
	for _, mode := range []twin.Mode{twin.Glue, twin.REST} {
		t.Run(mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, mode)
				base := w.load()
				w.cat.(*twin.Catalog).SetFault(func(c twin.Call) twin.Fault {
					if c.Op != twin.OpSwap {
						return twin.Fault{}
					}
					return map[int]twin.Fault{1: {Late: 3 * time.Second}, 2: {Late: time.Second}}[c.N]
				})
				for _, watermark := range []string{"late by 3", "late by 1"} {
					if _, err := w.commit(base, watermark); !errors.Is(err, catalog.ErrUnknown) {
						t.Fatalf("%s: %v", watermark, err)
					}
				}
				f := func(want string) {
					t.Helper()
					if got := w.load().Metadata.Properties["watermark"]; got != want {
						t.Errorf("watermark %q, want %q", got, want)
					}
				}
				time.Sleep(time.Second - time.Nanosecond)
				f("")
				time.Sleep(time.Nanosecond)
				f("late by 1")
				time.Sleep(time.Minute)
				f("late by 1")
			})
		})
	}
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, twin.REST)
		base := w.load()
		w.cat.(*twin.Catalog).SetFault(func(twin.Call) twin.Fault { return twin.Fault{Latency: time.Second} })
		began := time.Now()
		now := w.must(w.commit(base, "1"))
		if took := time.Since(began); took != time.Second {
			t.Errorf("the commit took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		_, err := w.cat.SwapMetadata(ctx, now, func(m *iceberg.Metadata) (*iceberg.Metadata, error) { return m, nil })
		if !errors.Is(err, catalog.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a commit that timed out: %v", err)
		}
		if _, err := w.cat.Load(ctx, clicks); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, catalog.ErrUnknown) {
			t.Errorf("a load that timed out: %v", err)
		}
	})
}

// TestGlueBetweenLookAndUpdate: a rival's change after the client's GetTable is caught by the version id.
func TestGlueBetweenLookAndUpdate(t *testing.T) {
	w := newWorld(t, twin.Glue)
	c := w.cat.(*twin.Catalog)
	base := w.load()
	rival := false
	c.SetClock(time.Now, func(context.Context, time.Duration) error {
		c.SetFault(nil)
		w.must(w.foreign.SetProperties(t.Context(), clicks, map[string]string{"theirs": "x"}))
		rival = true
		return nil
	})
	c.SetFault(func(call twin.Call) twin.Fault {
		if call.Op == twin.OpSwap {
			return twin.Fault{Latency: time.Second}
		}
		return twin.Fault{}
	})
	if _, err := w.commit(base, "1"); !errors.Is(err, catalog.ErrConflict) || !rival {
		t.Errorf("commit: %v; rival came: %v", err, rival)
	}
	if p := w.load().Metadata.Properties; p["theirs"] != "x" || p["watermark"] != "" {
		t.Errorf("properties %v", p)
	}
}

// TestReadFaults: a read that fails says so; a Glue commit whose look at the entry fails has
// changed nothing, and is planned anew.
func TestReadFaults(t *testing.T) {
	throttled := errors.New("throttled")
	for _, mode := range []twin.Mode{twin.Glue, twin.REST} {
		w := newWorld(t, mode)
		base := w.load()
		c := w.cat.(*twin.Catalog)
		c.SetFault(func(call twin.Call) twin.Fault {
			switch call.Op {
			case twin.OpLoad, twin.OpRefresh, twin.OpList, twin.OpGetTable:
				return twin.Fault{Err: throttled}
			}
			return twin.Fault{}
		})
		_, errLoad := c.Load(t.Context(), clicks)
		_, errRefresh := c.Refresh(t.Context(), base)
		_, errList := c.List(t.Context(), "default")
		for _, err := range []error{errLoad, errRefresh, errList} {
			if !errors.Is(err, throttled) {
				t.Errorf("%v: %v", mode, err)
			}
		}
		if _, err := w.commit(base, "1"); mode == twin.Glue && !errors.Is(err, catalog.ErrConflict) {
			t.Errorf("%v: commit without a look: %v", mode, err)
		}
	}
}
