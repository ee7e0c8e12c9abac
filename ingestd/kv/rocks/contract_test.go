package rocks

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"firn/ingestd/kv"
)

// The contract of kv.Store, over RocksDB and over the twin that the event log's crash tests stand on.
func TestContract(t *testing.T) {
	t.Run("rocks", func(t *testing.T) {
		dir := t.TempDir()
		contract(t, func(s kv.Store) kv.Store {
			if s != nil {
				_ = s.Close()
			}
			s, err := Open(dir, small())
			if err != nil {
				t.Fatal(err)
			}
			return s
		})
	})
	t.Run("mem", func(t *testing.T) {
		contract(t, func(s kv.Store) kv.Store {
			if s == nil {
				return kv.NewMem()
			}
			return s.(*kv.Mem).Crash(rand.New(rand.NewPCG(1, 1)))
		})
	})
}

func small() Config {
	return Config{WriteBufferBytes: 2 << 20, CacheBytes: 2 << 20, WALBytes: 4 << 20, MaxOpenFiles: 64}
}

// contract drives one store through random batches beside a plain map, and compares after each and after a reopening.
func contract(t *testing.T, reopen func(kv.Store) kv.Store) {
	s := reopen(nil)
	defer func() { _ = s.Close() }()
	var want [kv.Families]map[string]string
	for f := range want {
		want[f] = map[string]string{}
	}
	rng := rand.New(rand.NewPCG(7, 7))
	key := func() []byte { return fmt.Appendf(nil, "k%02d", rng.IntN(40)) }
	for round := range 60 {
		var b kv.Batch
		for range 1 + rng.IntN(20) {
			f := kv.Family(rng.IntN(int(kv.Families)))
			switch k := key(); rng.IntN(3) {
			case 0:
				b.Delete(f, k)
				delete(want[f], string(k))
			default:
				v := bytes.Repeat([]byte{byte(round)}, rng.IntN(3000)*rng.IntN(2))
				b.Put(f, k, v)
				want[f][string(k)] = string(v)
			}
		}
		if err := s.Write(&b, true); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if round%10 == 9 {
			s = reopen(s)
		}
		compare(t, s, want)
	}
	if err := s.Write(&kv.Batch{}, true); err != nil {
		t.Errorf("empty batch: %v", err)
	}
	bad := errors.New("stop here")
	s2 := [][]byte(nil)
	if err := s.Iterate(kv.Meta, nil, nil, false, func(k, _ []byte) error { s2 = append(s2, bytes.Clone(k)); return bad }); !errors.Is(err, bad) || len(s2) != 1 {
		t.Errorf("a callback's error: %v after %d keys", err, len(s2))
	}
	if err := s.Iterate(kv.Meta, nil, nil, false, func(_, _ []byte) error { return kv.ErrStop }); err != nil {
		t.Errorf("stopping: %v", err)
	}
	_ = s.Close()
	if err := s.Write(&kv.Batch{}, true); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("write after close: %v", err)
	}
	if _, _, err := s.Get(kv.Meta, []byte("k"), nil); !errors.Is(err, kv.ErrClosed) {
		t.Errorf("get after close: %v", err)
	}
}

func compare(t *testing.T, s kv.Store, want [kv.Families]map[string]string) {
	t.Helper()
	for f := range kv.Families {
		keys := []string{}
		for k := range want[f] {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, reverse := range []bool{false, true} {
			for _, within := range [][2][]byte{{nil, nil}, {[]byte("k10"), []byte("k30")}, {[]byte("k30"), []byte("k10")}, {[]byte("k05"), nil}, {nil, []byte("k35x")}} {
				var got []string
				err := s.Iterate(f, within[0], within[1], reverse, func(k, v []byte) error {
					if string(v) != want[f][string(k)] {
						t.Fatalf("%s %s: %d bytes, want %d", f, k, len(v), len(want[f][string(k)]))
					}
					got = append(got, string(k))
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				var exp []string
				for _, k := range keys {
					if k >= string(within[0]) && (within[1] == nil || k < string(within[1])) {
						exp = append(exp, k)
					}
				}
				if reverse {
					slices.Reverse(exp)
				}
				if !slices.Equal(got, exp) {
					t.Fatalf("%s in [%s, %s) reverse=%v: %v, want %v", f, within[0], within[1], reverse, got, exp)
				}
			}
		}
		v, ok, err := s.Get(f, []byte("k07"), []byte("before:"))
		if w, has := want[f]["k07"]; err != nil || ok != has || string(v) != "before:"+w {
			t.Fatalf("%s get: %q %v %v, want %q %v", f, v, ok, err, w, has)
		}
	}
}
