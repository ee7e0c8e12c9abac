package commitlib

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"firn/commitlib/iceberg"
	"firn/commitlib/objstore"
)

func TestWatermarksAreReadAsWritten(t *testing.T) {
	a, b := uuid.MustParse("019365f0-1111-7abc-8def-0123456789ab"), uuid.MustParse("019365f0-1111-7abc-8def-0123456789ac")
	w := &Watermarks{Logs: map[uuid.UUID]Mark{b: {7, 1000}, a: {12, 2000}}, Root: 5, Spilled: &SpillRef{File: "s3://b/t/_firn/w.json", Max: a}}
	text, err := w.Encode()
	want := `{"logs":{"019365f0-1111-7abc-8def-0123456789ab":[12,2000],"019365f0-1111-7abc-8def-0123456789ac":[7,1000]},"root":5,` +
		`"spilled":{"file":"s3://b/t/_firn/w.json","max":"019365f0-1111-7abc-8def-0123456789ab"}}`
	if err != nil || text != want {
		t.Fatalf("encoded %s, %v", text, err)
	}
	got, err := ParseWatermarks(map[string]string{PropProtocol: "1", PropWatermarks: text})
	if err != nil || got.Logs[a] != w.Logs[a] || got.Logs[b] != w.Logs[b] || got.Root != 5 || *got.Spilled != *w.Spilled {
		t.Fatalf("read %+v, %v", got, err)
	}
	if fresh, err := ParseWatermarks(NewTableProperties()); err != nil || fresh.used() {
		t.Fatalf("a new table: %+v, %v", fresh, err)
	}
}

func TestUnreadableWatermarksAreNeverZero(t *testing.T) {
	f := func(want error, props ...string) {
		t.Helper()
		m := make(map[string]string)
		for i := 0; i < len(props); i += 2 {
			m[props[i]] = props[i+1]
		}
		if w, err := ParseWatermarks(m); !errors.Is(err, want) {
			t.Errorf("%v: got %+v, %v, want %v", m, w, err, want)
		}
	}
	f(ErrNotFirn)
	f(ErrNotFirn, PropWatermarks, `{"logs":{}}`)
	f(ErrNotFirn, PropProtocol, "2", PropWatermarks, `{"logs":{}}`)
	f(ErrNotFirn, PropProtocol, "", PropWatermarks, `{"logs":{}}`)
	f(ErrWatermarksLost, PropProtocol, "1")
	for _, text := range []string{
		"", "null", "[]", "0", "{}", `{"logs":null}`, `{"logs":{}`, `{"logs":{}}x`, `{"logs":{},"later":1}`,
		`{"logs":{"x":[1,2]}}`, `{"logs":{"019365f0-1111-7abc-8def-0123456789ab":[0,2]}}`, `{"logs":{"019365f0-1111-7abc-8def-0123456789ab":[1]}}`,
		`{"logs":{"019365f0-1111-7abc-8def-0123456789ab":[1,2,3]}}`, `{"logs":{"019365f0-1111-7abc-8def-0123456789ab":[-1,2]}}`,
		`{"logs":{"019365f0-1111-7abc-8def-0123456789ab":null}}`, `{"logs":{"019365f0-1111-7abc-8def-0123456789ab":7}}`,
		`{"logs":{"019365f0-1111-7abc-8def-0123456789ab":[99999999999999999999,2]}}`,
		`{"logs":{},"spilled":{}}`, `{"logs":{},"spilled":{"file":"x"}}`, `{"logs":{},"root":-2}`,
	} {
		f(ErrWatermarksLost, PropProtocol, "1", PropWatermarks, text)
	}
}

func FuzzParseWatermarks(f *testing.F) {
	f.Add(`{"logs":{"019365f0-1111-7abc-8def-0123456789ab":[12,2000]},"root":5,"spilled":{"file":"s3://b","max":"019365f0-1111-7abc-8def-0123456789ab"}}`)
	f.Add(`{"logs":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		w, err := ParseWatermarks(map[string]string{PropProtocol: "1", PropWatermarks: text})
		if err != nil {
			return
		}
		again, err := w.Encode()
		if err != nil {
			t.Fatal(err)
		}
		w2, err := ParseWatermarks(map[string]string{PropProtocol: "1", PropWatermarks: again})
		if err != nil {
			t.Fatalf("%q reads, %q does not: %v", text, again, err)
		}
		if third, err := w2.Encode(); err != nil || third != again {
			t.Fatalf("not stable: %q, %q, %v", again, third, err)
		}
	})
}

func FuzzParseRanges(f *testing.F) {
	f.Add(`{"019365f0-1111-7abc-8def-0123456789ab":[[1,5],[6,9]]}`)
	f.Fuzz(func(t *testing.T, text string) {
		ranges, err := ParseRanges(&iceberg.Snapshot{Summary: map[string]string{PropRanges: text}})
		if err != nil {
			return
		}
		for log, list := range ranges {
			for _, r := range list {
				if r[0] < 1 || r[1] < r[0] {
					t.Fatalf("log %s: range %v", log, r)
				}
			}
		}
	})
}

// spillingWorld commits n logs, one event each, with a property that lists at most four.
func spillingWorld(t *testing.T, n int) (*world, *Committer, []uuid.UUID) {
	w := newWorld(t)
	cfg := w.config()
	cfg.SpillBeyond = 4
	c := New(w.cat, w.store, cfg)
	var logs []uuid.UUID
	for range n {
		w.pass(time.Second)
		logs = append(logs, w.log())
		w.commit(c, applied, w.request(logs[len(logs)-1], 1, 3))
	}
	return w, c, logs
}

func (w *world) marks() *Watermarks {
	w.Helper()
	m, err := ParseWatermarks(w.load().Metadata.Properties)
	if err != nil {
		w.Fatal(err)
	}
	return m
}

func TestManyLogsSpillAndAreNeverForgotten(t *testing.T) {
	w, c, logs := spillingWorld(t, 20)
	want := make(map[uuid.UUID]Seq)
	for _, log := range logs {
		want[log] = 3
	}
	w.holds(want)
	m := w.marks()
	if len(m.Logs) > 4 || m.Spilled == nil || c.Counters().Spills < 4 {
		t.Fatalf("not spilled: %+v, %+v", m, c.Counters())
	}
	for i, log := range logs { // duplicates and what comes next, on a cold committer and on a warm one
		cold := w.committer()
		w.commit(cold, skipped, w.request(log, 1, 3))
		w.commit(cold, dropped, w.request(log, 7, 7))
		if i%2 == 0 {
			w.commit(c, applied, w.request(log, 4, 5))
			want[log] = 5
		}
	}
	w.holds(want)
}

func TestSpillAmortises(t *testing.T) {
	_, c, _ := spillingWorld(t, 40)
	if n := c.Counters().Spills; n < 10 || n > 20 {
		t.Errorf("%d spills in 40 commits of new logs with room for 4: want one for each 3", n)
	}
}

func TestQuietLogSpills(t *testing.T) {
	w := newWorld(t)
	c := w.committer()
	quiet, busy := w.log(), w.log()
	w.commit(c, []Outcome{Applied, Applied}, w.request(quiet, 1, 3), w.request(busy, 1, 1))
	for i := range Seq(5) {
		w.pass(6 * time.Hour)
		w.commit(c, applied, w.request(busy, i+2, i+2))
	}
	m := w.marks()
	if _, listed := m.Logs[quiet]; listed || m.Spilled == nil || m.Spilled.Max != quiet {
		t.Fatalf("the quiet log is still listed: %+v", m)
	}
	w.commit(c, skipped, w.request(quiet, 1, 3))
	w.commit(w.committer(), applied, w.request(quiet, 4, 4))
	if _, listed := w.marks().Logs[quiet]; !listed {
		t.Fatal("the log that came back is not listed")
	}
	w.holds(map[uuid.UUID]Seq{quiet: 4, busy: 6})
}

// TestSpilledFileIsReadAnew: what a committer remembers of one file says nothing about the next, though
// the same log is the greatest in both.
func TestSpilledFileIsReadAnew(t *testing.T) {
	w := newWorld(t)
	one, other := w.committer(), w.committer()
	busy, gone, quiet := w.log(), w.log(), w.log()
	w.commit(one, []Outcome{Applied, Applied, Applied}, w.request(gone, 1, 1), w.request(quiet, 1, 3), w.request(busy, 1, 1))
	w.pass(30 * time.Hour)
	w.commit(one, applied, w.request(busy, 2, 2))
	first := w.marks().Spilled
	w.commit(other, applied, w.request(quiet, 4, 4))
	w.pass(30 * time.Hour)
	w.commit(one, []Outcome{Skipped, Skipped}, w.request(gone, 1, 1), w.request(quiet, 1, 1)) // reads the first file; the log is listed
	w.commit(other, applied, w.request(busy, 3, 3))
	if second := w.marks().Spilled; first == nil || second == nil || second.File == first.File || second.Max != first.Max {
		t.Fatalf("spilled to %+v, then to %+v", first, second)
	}
	_, err := w.foreign().ExpireSnapshots(t.Context(), w.id, 1) // no trace warns
	w.must(err)
	w.commit(one, []Outcome{Skipped, Dropped}, w.request(quiet, 4, 4), w.request(quiet, 6, 6))
	w.holds(map[uuid.UUID]Seq{gone: 1, quiet: 4, busy: 3})
}

func TestNewLogNeedsNoLookUp(t *testing.T) {
	w, _, logs := spillingWorld(t, 20)
	w.change(func(m *iceberg.Metadata, prev string) (*iceberg.Metadata, error) { // or the traces would be looked up
		var gone []int64
		for _, s := range m.Snapshots[:len(m.Snapshots)-1] {
			gone = append(gone, s.ID)
		}
		return m.WithoutSnapshots(gone, prev, w.clock())
	})
	spilledKey, _ := objstore.Key(w.store, w.marks().Spilled.File)
	reads := 0
	w.store.SetFault(func(c objstore.Call) objstore.Fault {
		if c.Key == spilledKey {
			reads++
		}
		return objstore.Fault{}
	})
	w.pass(time.Second)
	w.commit(w.committer(), applied, w.request(w.log(), 1, 1))
	if reads != 0 {
		t.Errorf("a new log cost %d reads of the spilled watermarks", reads)
	}
	if err := w.store.Delete(t.Context(), spilledKey); err != nil {
		t.Fatal(err)
	}
	w.pass(time.Second)
	w.commit(w.committer(), applied, w.request(w.log(), 1, 1)) // it does not need the file
	got := w.commit(w.committer(), rejected, w.request(logs[0], 1, 3))
	if !strings.Contains(got[0].Reason, "missing") || got[0].Advice == "" {
		t.Errorf("result %+v", got[0])
	}
	if _, err := ReadWatermark(t.Context(), w.store, w.load(), logs[0]); !errors.Is(err, ErrWatermarksLost) {
		t.Errorf("read watermark: %v", err)
	}
	if len(w.marks().Logs) < 3 {
		t.Errorf("a spill without its predecessor forgot: %+v", w.marks())
	}
}

func TestMangledSpilledFileStopsTheTable(t *testing.T) {
	f := func(what string, mangle func(body []byte) []byte) {
		t.Helper()
		w, _, logs := spillingWorld(t, 8)
		key, _ := objstore.Key(w.store, w.marks().Spilled.File)
		body, _, err := w.store.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.store.Put(t.Context(), key, mangle(bytes.Clone(body)), objstore.Condition{}); err != nil {
			t.Fatal(err)
		}
		w.commit(w.committer(), rejected, w.request(logs[0], 1, 3))
		if _, err := ReadWatermark(context.Background(), w.store, w.load(), logs[0]); !errors.Is(err, ErrWatermarksLost) {
			t.Errorf("%s: %v", what, err)
		}
	}
	f("cut", func(b []byte) []byte { return b[:len(b)-1] })
	f("empty", func([]byte) []byte { return nil })
	f("no logs", func([]byte) []byte { return []byte(`{"v":1,"table":"0b64cbd3-5e9c-4a62-9c2c-1f6f1f3f7b10","logs":{}}`) })
	f("another version", func(b []byte) []byte { return bytes.Replace(b, []byte(`"v":1`), []byte(`"v":2`), 1) })
	f("another table", func(b []byte) []byte {
		i := bytes.Index(b, []byte(`"table":"`)) + len(`"table":"`)
		b[i] ^= 1
		return b
	})
	f("more", func(b []byte) []byte { return append(b, '{') })
}
