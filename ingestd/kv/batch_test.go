package kv

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

func TestBatchRoundTrip(t *testing.T) {
	var b Batch
	b.Put(Blocks, []byte("k"), bytes.Repeat([]byte("v"), 300))
	b.Put(Meta, []byte{}, nil)
	b.Delete(Dedup, []byte("gone"))
	var got []op
	if err := each(b.Rep(), func(o op) { got = append(got, o) }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || b.Len() != 3 || got[0].family != Blocks || len(got[0].value) != 300 || got[2].tag != tagDelete ||
		string(got[2].key) != "gone" {
		t.Errorf("got %v", got)
	}
	if b.Reset(); b.Len() != 0 || len(b.Rep()) != repHeader {
		t.Errorf("after Reset: %d operations in %d bytes", b.Len(), len(b.Rep()))
	}
}

func FuzzBatchDecode(f *testing.F) {
	var b Batch
	b.Put(Blocks, []byte("key"), []byte("value"))
	b.Delete(Index, []byte("gone"))
	f.Add(b.Rep())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, rep []byte) {
		n := 0
		_ = each(rep, func(o op) { n += len(o.key) + len(o.value) })
		if n > len(rep) {
			t.Errorf("%d bytes out of %d", n, len(rep))
		}
	})
}

func TestMemCrashKeepsSyncedAndAPrefix(t *testing.T) {
	for seed := range uint64(200) {
		m := NewMem()
		rng := rand.New(rand.NewPCG(seed, 0))
		synced := rng.IntN(10)
		for i := range 10 {
			var b Batch
			b.Put(Meta, []byte{byte(i)}, nil)
			if err := m.Write(&b, i < synced); err != nil {
				t.Fatal(err)
			}
		}
		c := m.Crash(rng)
		for i, hole := 0, false; i < 10; i++ {
			_, ok, err := c.Get(Meta, []byte{byte(i)}, nil)
			if err != nil || !ok && i < synced || ok && hole {
				t.Fatalf("seed %d, %d synced: write %d there: %v after a hole: %v (%v)", seed, synced, i, ok, hole, err)
			}
			hole = hole || !ok
		}
	}
}

func TestMemFaults(t *testing.T) {
	f := func(fault Fault, wantErr, applied, goesOn bool) {
		t.Helper()
		m := NewMem()
		m.Fault = func(n int) Fault {
			if n == 2 {
				return fault
			}
			return None
		}
		write := func(k byte) error {
			var b Batch
			b.Put(Meta, []byte{k}, nil)
			return m.Write(&b, true)
		}
		first, second, third := write(1), write(2), write(3)
		_, ok, _ := m.Get(Meta, []byte{2}, nil)
		if first != nil || (second != nil) != wantErr || ok != applied || (third == nil) != goesOn {
			t.Errorf("fault %d: %v, %v, %v; applied %v", fault, first, second, third, ok)
		}
	}
	f(None, false, true, true)
	f(Lost, true, false, false)
	f(Unsure, true, true, false)
	f(Full, true, false, true)
}
