package objstore_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"firn/commitlib/objstore"
	"firn/commitlib/objstore/storetest"
)

func TestMemContract(t *testing.T) {
	storetest.Run(t, func(*testing.T) objstore.Store { return objstore.NewMem("mem://warehouse") })
}

var (
	errThrottled = errors.New("slow down")
	absent       = objstore.Condition{Absent: true}
)

// once answers one fault at the n-th call of op.
func once(op objstore.Op, n int, fault objstore.Fault) func(objstore.Call) objstore.Fault {
	return func(c objstore.Call) objstore.Fault {
		if c.Op == op && c.N == n {
			return fault
		}
		return objstore.Fault{}
	}
}

func TestMemFaults(t *testing.T) {
	for _, test := range []struct {
		name    string
		fault   objstore.Fault
		want    error
		applied bool
	}{
		{"not applied", objstore.Fault{Err: errThrottled}, errThrottled, false},
		{"lost request", objstore.Fault{Err: objstore.ErrUnknown}, objstore.ErrUnknown, false},
		{"lost response", objstore.Fault{Applied: true}, objstore.ErrUnknown, true},
		{"applied, then an error", objstore.Fault{Applied: true, Err: errThrottled}, errThrottled, true},
		{"late", objstore.Fault{Late: time.Hour}, objstore.ErrUnknown, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := objstore.NewMem("mem://w")
			m.SetFault(once(objstore.OpPut, 2, test.fault))
			if _, err := m.Put(t.Context(), "first", nil, absent); err != nil {
				t.Fatal(err)
			}
			if _, err := m.Put(t.Context(), "k", []byte("x"), absent); !errors.Is(err, test.want) {
				t.Fatalf("put: %v, want %v", err, test.want)
			}
			if _, err := m.Head(t.Context(), "k"); (err == nil) != test.applied {
				t.Errorf("head: %v, applied should be %v", err, test.applied)
			}
		})
	}
}

// A refusal is certain even when the response would have been lost: the condition decides first.
func TestMemLostResponseOfARefusal(t *testing.T) {
	m := objstore.NewMem("mem://w")
	m.SetFault(once(objstore.OpPut, 2, objstore.Fault{Applied: true}))
	m.Put(t.Context(), "k", []byte("one"), absent)
	if _, err := m.Put(t.Context(), "k", []byte("two"), absent); !errors.Is(err, objstore.ErrPrecondition) {
		t.Errorf("put: %v", err)
	}
}

func TestMemLateWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := objstore.NewMem("mem://w")
		m.SetFault(func(c objstore.Call) objstore.Fault {
			if c.Op != objstore.OpPut {
				return objstore.Fault{}
			}
			return map[int]objstore.Fault{1: {Late: 3 * time.Second}, 2: {Late: time.Second}, 3: {Late: 2 * time.Second}}[c.N]
		})
		m.Put(t.Context(), "k", []byte("late by 3"), absent)
		m.Put(t.Context(), "k", []byte("late by 1"), absent)
		m.Put(t.Context(), "other", []byte("late by 2"), absent)

		time.Sleep(time.Second - time.Nanosecond)
		if _, err := m.Head(t.Context(), "k"); !errors.Is(err, objstore.ErrNotExist) {
			t.Fatalf("too early: %v", err)
		}
		time.Sleep(time.Nanosecond)
		body, _, err := m.Get(t.Context(), "k")
		if err != nil || string(body) != "late by 1" {
			t.Fatalf("after a second: %q, %v", body, err)
		}
		if err := m.Delete(t.Context(), "other"); err != nil {
			t.Fatal(err)
		}
		m.Settle() // the write that is due third finds its name taken
		if body, _, _ := m.Get(t.Context(), "k"); string(body) != "late by 1" {
			t.Errorf("a late write came through although its condition fails: %q", body)
		}
		if body, _, err := m.Get(t.Context(), "other"); err != nil || string(body) != "late by 2" {
			t.Errorf("a write came back after the delete that did not see it: %q, %v", body, err)
		}
	})
}

func TestMemLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := objstore.NewMem("mem://w")
		m.SetFault(func(objstore.Call) objstore.Fault { return objstore.Fault{Latency: time.Second} })
		began := time.Now()
		if _, err := m.Put(t.Context(), "k", nil, absent); err != nil || time.Since(began) != time.Second {
			t.Errorf("put took %v: %v", time.Since(began), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := m.Put(ctx, "late", nil, absent); !errors.Is(err, objstore.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("put that timed out: %v", err)
		}
		if _, err := m.Head(ctx, "k"); errors.Is(err, objstore.ErrUnknown) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("head that timed out: %v", err)
		}
	})
}

func TestMemCounts(t *testing.T) {
	m := objstore.NewMem("mem://w")
	m.Put(t.Context(), "a", make([]byte, 100), absent)
	m.ResetCounts()
	m.Put(t.Context(), "b", make([]byte, 10), absent)
	m.Put(t.Context(), "b", make([]byte, 10), absent)
	m.Get(t.Context(), "a")
	m.ReadAt(t.Context(), "a", make([]byte, 7), 0)
	m.Head(t.Context(), "none")
	m.List(t.Context(), "", func(objstore.Info) error { return nil })
	m.Delete(t.Context(), "a", "b")
	got := m.Counts()
	for op, want := range map[objstore.Op]objstore.Count{
		objstore.OpPut: {Calls: 2, Bytes: 20}, objstore.OpGet: {Calls: 1, Bytes: 100}, objstore.OpReadAt: {Calls: 1, Bytes: 7},
		objstore.OpHead: {Calls: 1}, objstore.OpList: {Calls: 1}, objstore.OpDelete: {Calls: 1},
	} {
		if got.Of(op) != want {
			t.Errorf("%v: %+v, want %+v", op, got.Of(op), want)
		}
	}
	if got.Calls() != 7 {
		t.Errorf("%d calls in all, want 7", got.Calls())
	}
}
