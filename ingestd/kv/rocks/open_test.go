package rocks

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"firn/ingestd/kv"
)

func mustOpen(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir, small())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestSecondOpenIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	if _, err := Open(dir, small()); !errors.Is(err, ErrLocked) {
		t.Fatalf("second open: %v", err)
	}
	_ = s.Close()
	mustOpen(t, dir)
}

func TestOpenNeedsADirectory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, small()); err == nil {
		t.Error("a file was opened")
	}
	if _, err := Open(t.TempDir(), Config{}); err == nil {
		t.Error("an empty configuration was taken")
	}
}

// writeLog writes n synced keys and leaves them in the write-ahead log alone, as a killed process does: it copies the
// directory while the store is open. It returns the copy and its log.
func writeLog(t *testing.T, n, valueBytes int) (dir, log string) {
	t.Helper()
	from := t.TempDir()
	c := small()
	c.WriteBufferBytes, c.WALBytes = 64<<20, 64<<20 // a full memtable would begin another log, and drop this one at some time
	s, err := Open(from, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	for i := range n {
		var b kv.Batch
		b.Put(kv.Meta, key(i), make([]byte, valueBytes))
		if err := s.Write(&b, true); err != nil {
			t.Fatal(err)
		}
	}
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	logs, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	if len(logs) != 1 {
		t.Fatalf("logs: %v", logs)
	}
	return dir, logs[0]
}

func key(i int) []byte { return fmt.Appendf(nil, "key-%06d", i) }

func has(t testing.TB, s kv.Store, i int) bool {
	t.Helper()
	_, ok, err := s.Get(kv.Meta, key(i), nil)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// Each single flipped bit of a log must be noticed: no record of it may vanish without a word.
func TestFlippedBitInLogIsRefused(t *testing.T) {
	const n = 20
	dir, log := writeLog(t, n, 30)
	whole, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	step := 1
	if testing.Short() {
		step = 7
	}
	// One open takes milliseconds: of each record the whole header, and some of the payload.
	for at := 0; at < len(whole); at++ {
		if inHeader := headerAt(whole, at); !inHeader && at%(41*step) != 0 {
			continue
		}
		damaged := slices.Clone(whole)
		damaged[at] ^= 1 << (at % 8)
		copied := t.TempDir()
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copied, filepath.Base(log)), damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(copied, small())
		var corrupt *CorruptError
		if errors.As(err, &corrupt) {
			if !strings.Contains(err.Error(), "-salvage") {
				t.Fatalf("byte %d: %v does not say what to do", at, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("byte %d of %d: %v", at, len(whole), err)
		}
		for i := range n {
			if !has(t, s, i) {
				t.Errorf("byte %d of %d flipped: opened without a word, and write %d is gone", at, len(whole), i)
				break
			}
		}
		_ = s.Close()
	}
}

// headerAt reports whether byte at belongs to a record's header; the log is one block long.
func headerAt(log []byte, at int) bool {
	for start := 0; start+logHeader <= len(log); {
		if at >= start && at < start+logHeader {
			return true
		}
		start += logHeader + int(binary.LittleEndian.Uint16(log[start+4:]))
	}
	return false
}

// A log that ends in the middle of a record is what a crash leaves: what is before it is whole, nothing else was acked.
func TestCutTailOpens(t *testing.T) {
	const n = 300 // more than a block of the log
	dir, log := writeLog(t, n, 200)
	info, err := os.Stat(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int64{1, 5, 100, 230, 236, 240, 3000} {
		copied := t.TempDir()
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(copied, filepath.Base(log)), info.Size()-cut); err != nil {
			t.Fatal(err)
		}
		s := mustOpen(t, copied)
		lost := 0
		for i := range n {
			if !has(t, s, i) {
				lost++
			} else if lost > 0 {
				t.Fatalf("%d bytes cut: write %d is there and one before is not", cut, i)
			}
		}
		if most := int(cut/230) + 1; lost > most || lost == 0 {
			t.Errorf("%d bytes cut: %d writes lost, want 1 to %d", cut, lost, most)
		}
		_ = s.Close()
	}
}

// Junk behind the last record: zeros and the beginning of a record are what a crash leaves. Whatever it is, nothing
// that was synced is lost without a word.
func TestJunkAtTheTail(t *testing.T) {
	const n = 50
	dir, log := writeLog(t, n, 100)
	for name, junk := range map[string][]byte{
		"zeros":           make([]byte, 3000),
		"half a header":   {0xde, 0xad, 0xbe},
		"a long record":   {0xde, 0xad, 0xbe, 0xef, 0xff, 0x7f, 1, 'x', 'y', 'z'},
		"a short record":  {0xde, 0xad, 0xbe, 0xef, 3, 0, 1, 'x', 'y', 'z'},
		"all ones":        slices.Repeat([]byte{0xff}, 500),
		"text":            []byte(strings.Repeat("this is no record. ", 40)),
		"zeros and noise": append(make([]byte, 100), "noise"...),
	} {
		copied := t.TempDir()
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(filepath.Join(copied, filepath.Base(log)), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(junk); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		s, err := Open(copied, small())
		if errors.As(err, new(*CorruptError)) {
			t.Logf("%s: refused: %v", name, err)
			if s, err = Salvage(copied, small(), time.Unix(1, 0)); err != nil {
				t.Fatalf("%s: salvage: %v", name, err)
			}
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range n {
			if !has(t, s, i) {
				t.Fatalf("%s: write %d is gone", name, i)
			}
		}
		_ = s.Close()
	}
}

func TestInspectAndSalvage(t *testing.T) {
	const n, bad = 400, 100
	dir, log := writeLog(t, n, 200)
	whole, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(whole), string(key(bad)))
	whole[at] ^= 0x10
	if err := os.WriteFile(log, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	before := listing(t, dir)
	if _, err := Open(dir, small()); !errors.As(err, new(*CorruptError)) {
		t.Fatalf("open: %v", err)
	}
	err = Inspect(dir, small(), func(survives, readable kv.Store) error {
		for i := range n {
			if got, want := has(t, survives, i), i < bad; got != want {
				t.Errorf("write %d survives: %v, want %v", i, got, want)
			}
		}
		if !has(t, readable, bad-1) || has(t, readable, bad) || !has(t, readable, n-1) {
			t.Error("readable: want all but the damaged write, and perhaps its neighbours in the block")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if after := listing(t, dir); after != before {
		t.Errorf("looking changed the directory:\n%s\nto\n%s", before, after)
	}
	s, err := Salvage(dir, small(), time.Unix(1234, 0))
	if err != nil {
		t.Fatal(err)
	}
	if !has(t, s, bad-1) || has(t, s, bad) || has(t, s, n-1) {
		t.Error("salvage kept something else than what precedes the damage")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(filepath.Join(dir, "salvaged-1234", filepath.Base(log)))
	if err != nil || string(kept) != string(whole) {
		t.Errorf("the damaged log was not kept: %d bytes, %v", len(kept), err)
	}
	mustOpen(t, dir)
}

// listing names the store's files and their sizes; the info log and what RocksDB writes about its options are no data.
func listing(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		if info, err := e.Info(); err == nil && !strings.HasPrefix(e.Name(), "LOG") && !strings.HasPrefix(e.Name(), "OPTIONS") {
			fmt.Fprintln(&b, e.Name(), info.Size())
		}
	}
	return b.String()
}
