package eventlog

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"firn/ingestd/event"
	"firn/ingestd/kv"
)

// Each row damages a good directory in its own way; all must be noticed at the start, and nothing written.
func TestOpenNoticesDamage(t *testing.T) {
	var id Track
	build := func() *kv.Mem {
		m := kv.NewMem()
		l := mustOpen(t, m, testConfig())
		for range 5 {
			id = mustPut(t, l, "t", "a", "b", "c").Track
		}
		for _, c := range []Cut{{First: 1, Last: 6}, {First: 7, Last: 12}} {
			if err := l.Cut(id, c); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.SetCommitted(id, 6); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return m.Copy()
	}
	position := func(m *kv.Mem, first Seq) []byte {
		v, _, err := m.Get(kv.Index, indexKey(nil, id, first), nil)
		if err != nil {
			t.Fatal(err)
		}
		return v[:8]
	}
	f := func(name string, damage func(m *kv.Mem, b *kv.Batch), want error, text string) {
		t.Helper()
		m := build()
		var b kv.Batch
		damage(m, &b)
		if err := m.Write(&b, true); err != nil {
			t.Fatal(err)
		}
		writes := m.Writes()
		_, err := Open(m, testConfig())
		if err == nil || want != nil && !errors.Is(err, want) || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v, want %v with %q", name, err, want, text)
		}
		if m.Writes() != writes {
			t.Errorf("%s: Open wrote something", name)
		}
	}
	f("a hole", func(_ *kv.Mem, b *kv.Batch) { b.Delete(kv.Index, indexKey(nil, id, 7)) }, ErrDamaged, "from event 6 to event 10")
	f("the first block gone", func(_ *kv.Mem, b *kv.Batch) { b.Delete(kv.Index, indexKey(nil, id, 1)) }, ErrDamaged, "from event 0 to event 4")
	f("an end before the cuts", func(m *kv.Mem, b *kv.Batch) {
		deleteRange(t, m, b, kv.Index, indexKey(nil, id, 10), indexKey(nil, id, 99))
	}, ErrDamaged, "cut 12, high 9")
	f("an end before the watermark", func(m *kv.Mem, b *kv.Batch) {
		deleteRange(t, m, b, kv.Index, indexKey(nil, id, 4), indexKey(nil, id, 99))
		deleteRange(t, m, b, kv.Meta, []byte(metaCut), afterPrefix(metaCut))
	}, ErrDamaged, "committed 6, cut 6, high 3")
	f("no watermarks", func(_ *kv.Mem, b *kv.Batch) { b.Delete(kv.Meta, trackKey(metaState, id)) }, ErrDamaged, "no watermarks")
	f("short watermarks", func(_ *kv.Mem, b *kv.Batch) { b.Put(kv.Meta, trackKey(metaState, id), []byte("x")) }, ErrDamaged, "no watermarks")
	f("trimmed beyond the watermark", func(m *kv.Mem, b *kv.Batch) {
		b.Put(kv.Meta, trackKey(metaState, id), appendState(nil, 5, 7))
		deleteRange(t, m, b, kv.Index, indexKey(nil, id, 0), indexKey(nil, id, 7))
		deleteRange(t, m, b, kv.Meta, []byte(metaCut), afterPrefix(metaCut))
	}, ErrDamaged, "low 7, committed 5")
	f("a cut after a gap", func(_ *kv.Mem, b *kv.Batch) {
		b.Delete(kv.Meta, cutKey(id, 7))
		b.Put(kv.Meta, cutKey(id, 8), Cut{First: 8, Last: 9}.append(nil))
	}, ErrDamaged, "segment [8, 9] does not follow 6")
	f("a cut cut short", func(_ *kv.Mem, b *kv.Batch) { b.Put(kv.Meta, cutKey(id, 7), []byte("short")) }, ErrDamaged, "decode cut")
	f("the last block missing", func(m *kv.Mem, b *kv.Batch) { b.Delete(kv.Blocks, position(m, 13)) }, ErrDamaged, "missing")
	f("the last block damaged", func(m *kv.Mem, b *kv.Batch) {
		v, _, _ := m.Get(kv.Blocks, position(m, 13), nil)
		v[len(v)-1]++
		b.Put(kv.Blocks, position(m, 13), v)
	}, ErrDamaged, "checksum")
	f("the last block another one", func(m *kv.Mem, b *kv.Batch) {
		v, _, _ := m.Get(kv.Blocks, position(m, 10), nil)
		b.Put(kv.Blocks, position(m, 13), v)
	}, ErrDamaged, "another one")
	f("an index entry cut short", func(_ *kv.Mem, b *kv.Batch) { b.Put(kv.Index, indexKey(nil, id, 7), []byte("x")) }, ErrDamaged, "decode index")
	f("a track cut short", func(_ *kv.Mem, b *kv.Batch) { b.Put(kv.Meta, trackKey(metaTrack, id), []byte("x")) }, ErrDamaged, "decode track")
	f("a newer format", func(_ *kv.Mem, b *kv.Batch) {
		b.Put(kv.Meta, []byte(metaFormat), binary.BigEndian.AppendUint32(nil, 2))
	}, nil, "start the version that wrote it")
	f("no format", func(_ *kv.Mem, b *kv.Batch) { b.Delete(kv.Meta, []byte(metaFormat)) }, nil, "not one of ingestd's")
}

// deleteRange adds to b the removal of each of m's keys in [lo, hi).
func deleteRange(t *testing.T, m *kv.Mem, b *kv.Batch, f kv.Family, lo, hi []byte) {
	t.Helper()
	err := m.Iterate(f, lo, hi, false, func(k, _ []byte) error {
		b.Delete(f, k)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A block that is damaged in the middle is met by its reader.
func TestReadNoticesDamage(t *testing.T) {
	m := kv.NewMem()
	l := mustOpen(t, m, testConfig())
	id := mustPut(t, l, "t", "a").Track
	mustPut(t, l, "t", "b")
	mustPut(t, l, "t", "c")
	_ = l.Close()
	l = mustOpen(t, m, testConfig())
	v, _, _ := m.Get(kv.Index, indexKey(nil, id, 2), nil)
	var b kv.Batch
	b.Delete(kv.Blocks, v[:8])
	if err := m.Write(&b, true); err != nil {
		t.Fatal(err)
	}
	var got []string
	err := l.Read(t.Context(), id, 1, 3, func(r Rows) error {
		got = append(got, string(r.Batch.Cols[event.ColPayload].Bytes(0)))
		return nil
	})
	if err == nil || !slices.Equal(got, []string{"a"}) {
		t.Errorf("read %v, %v", got, err)
	}
}

func TestLossNamesWhatASalvageGivesUp(t *testing.T) {
	m := kv.NewMem()
	l := mustOpen(t, m, testConfig())
	mustPut(t, l, "t", "1", "2")
	mustPut(t, l, "u", "1")
	survives := m.Copy()
	a := mustPut(t, l, "t", "3", "4")
	mustPut(t, l, "v", "1")
	mustPut(t, l, "t", "5")
	lost, err := Loss(survives, m)
	if err != nil || len(lost) != 2 || lost[0] != (Lost{a.Log, table("t"), 3, 5}) || lost[1] != (Lost{a.Log, table("v"), 1, 1}) {
		t.Errorf("lost %v, %v", lost, err)
	}
	if lost, err := Loss(m, m); err != nil || len(lost) != 0 {
		t.Errorf("lost %v, %v", lost, err)
	}
}

func TestMeta(t *testing.T) {
	m := kv.NewMem()
	l := mustOpen(t, m, testConfig())
	for _, k := range []string{"a/1", "a/2", "b/1"} {
		if err := l.PutMeta(k, []byte("of "+k)); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.PutMeta("a/1", nil); err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	l = mustOpen(t, m.Copy(), testConfig())
	f := func(prefix string, want ...string) {
		t.Helper()
		var got []string
		if err := l.IterMeta(prefix, func(k string, v []byte) error { got = append(got, k+"="+string(v)); return nil }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q", prefix, got)
		}
	}
	f("", "a/2=of a/2", "b/1=of b/1")
	f("a/", "a/2=of a/2")
	f("a/1") // deleted
	f("c")
}

func TestConfigValidate(t *testing.T) {
	c := Default()
	c.Schema = event.Schema
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	c.Schema, c.MaxBytes, c.TailBytes, c.DedupWindow, c.MaxGroupBytes = nil, 1, -1, -1, 0
	if err := c.Validate(); err == nil || strings.Count(err.Error(), "\n") < 4 {
		t.Errorf("not all violations at once: %v", err)
	}
}
