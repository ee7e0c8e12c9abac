package rocks

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/linxGnu/grocksdb"
	"golang.org/x/sys/unix"

	"firn/ingestd/kv"
)

// tornLog is a write-ahead log as a killed process leaves it: some small writes, and a last one of noise.
type tornLog struct {
	name   string
	bytes  []byte
	before int   // writes before the last
	record int64 // where the last one begins
}

const tornSizes = 4 // of the last write: within a page, a block, two and several

// tornLogs gives a log for each size of the last write.
func tornLogs(t *testing.T) (dir string, logs []tornLog) {
	t.Helper()
	noise := rand.NewChaCha8([32]byte{1})
	for i, size := range [tornSizes]int{300, 9000, 30_000, 150_000} {
		before := 40 + 70*i
		dir := t.TempDir()
		s := mustOpen(t, dir)
		log := globOne(t, dir)
		var record int64
		for n := range before + 1 {
			value := make([]byte, 100+n%50)
			if n == before {
				value = make([]byte, size)
				info, err := os.Stat(log)
				if err != nil {
					t.Fatal(err)
				}
				record = info.Size()
			}
			_, _ = noise.Read(value) // never fails
			var b kv.Batch
			b.Put(kv.Meta, key(n), value)
			if err := s.Write(&b, true); err != nil {
				t.Fatal(err)
			}
		}
		b, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		logs = append(logs, tornLog{filepath.Base(log), b, before, record})
		_ = s.Close()
	}
	// One empty store serves all: its manifest names no log as done.
	dir = t.TempDir()
	from := t.TempDir()
	mustOpen(t, from)
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	for _, l := range logs {
		if l.name != filepath.Base(globOne(t, dir)) {
			t.Fatalf("log %s of a new store, then %s", globOne(t, dir), l.name)
		}
	}
	return dir, logs
}

func globOne(t *testing.T, dir string) string {
	t.Helper()
	logs, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	if len(logs) != 1 {
		t.Fatalf("logs of %s: %v", dir, logs)
	}
	return logs[0]
}

// place makes a copy of dir with that log in it.
func (l tornLog) place(t *testing.T, dir string, log []byte) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, l.name), log, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

// without gives the log with these pages of the last record never written, counted from the one that it begins in.
func (l tornLog) without(pages ...int) []byte {
	b := bytes.Clone(l.bytes)
	for _, p := range pages {
		from := l.record&^(page-1) + int64(p)*page
		clear(b[min(max(from, l.record), int64(len(b))):min(from+page, int64(len(b)))])
	}
	return b
}

// pages is how many the last record touches.
func (l tornLog) pages() int { return int((int64(len(l.bytes))-1)/page-l.record/page) + 1 }

// check returns what checkLogFile says of these bytes.
func check(t *testing.T, log []byte) (*TornWrite, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "000004.log")
	if err := os.WriteFile(path, log, 0o600); err != nil {
		t.Fatal(err)
	}
	return checkLogFile(path)
}

// opens wants a start to go on with all writes but the last, and with no part of that one.
func (l tornLog) opens(t *testing.T, dir, what string, log []byte) {
	t.Helper()
	placed := l.place(t, dir, log)
	s, err := Open(placed, small())
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	defer func() { _ = s.Close() }()
	for i := range l.before {
		if !has(t, s, i) {
			t.Fatalf("%s: write %d of %d, which was synced, is gone", what, i, l.before)
		}
	}
	if has(t, s, l.before) {
		t.Fatalf("%s: a torn write is there", what)
	}
	if len(s.Torn()) == 0 {
		if got, err := os.ReadFile(filepath.Join(placed, l.name)); err == nil && len(got) != len(log) {
			t.Fatalf("%s: the log was cut without a word", what)
		}
		return
	}
	torn := s.Torn()[0]
	kept, err := os.ReadFile(torn.Kept)
	if err != nil || torn.At != l.record || !bytes.Equal(kept, log[l.record:]) {
		t.Fatalf("%s: cut at %d, want %d; kept %d bytes (%v), want %d", what, torn.At, l.record, len(kept), err, int64(len(log))-l.record)
	}
}

// Each page of the last write may be missing, with whatever it hides: a header, the middle of a payload, the header of
// a later fragment, whole blocks. The start goes on.
func TestHolesInTheLastWriteOpen(t *testing.T) {
	dir, logs := tornLogs(t)
	for _, l := range logs {
		n := l.pages()
		for p := range n {
			log := l.without(p)
			torn, err := check(t, log)
			if err != nil {
				t.Fatalf("page %d of %d missing: %v", p, n, err)
			}
			if cut := torn != nil; cut && torn.At != l.record || !cut && n > 1 {
				t.Fatalf("page %d of %d missing: %+v, want a cut at %d", p, n, torn, l.record)
			}
			if block := int(logBlock / page); p < 2 || p == n-1 || (l.record/page+int64(p))%int64(block) < 2 {
				l.opens(t, dir, fmt.Sprintf("page %d of %d missing", p, n), log)
			}
		}
		var blocks []int // a run of missing pages longer than a block
		for p := 1; p < n-1; p++ {
			blocks = append(blocks, p)
		}
		l.opens(t, dir, "all but the first and last page missing", l.without(append(blocks, 0)...))
		l.opens(t, dir, "nothing but the size written", append(bytes.Clone(l.bytes[:l.record]), make([]byte, int64(len(l.bytes))-l.record)...))
	}
}

// Any of the last write's pages, and any size of the file: the start goes on, and cuts at the record or nowhere.
func TestAnyTornLastWriteOpens(t *testing.T) {
	dir, logs := tornLogs(t)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for i := range 400 {
		l := logs[i%len(logs)]
		var missing []int
		for p := range l.pages() {
			if rng.IntN(4) < 1+i%3 {
				missing = append(missing, p)
			}
		}
		log := l.without(missing...)
		if rng.IntN(2) == 0 {
			log = log[:l.record+rng.Int64N(int64(len(log))-l.record)]
		}
		if bytes.Equal(log, l.bytes) {
			continue
		}
		if end := int64(len(log)); end%page < minHole && end > l.record || l.record%page > page-minHole {
			continue // too little of a page to tell
		}
		what := fmt.Sprintf("case %d: pages %v of %d missing, %d bytes of %d", i, missing, l.pages(), len(log), len(l.bytes))
		torn, err := check(t, log)
		if err != nil || torn != nil && torn.At != l.record {
			t.Fatalf("%s: %+v, %v; want a cut at %d or none", what, torn, err, l.record)
		}
		if i%40 < tornSizes {
			l.opens(t, dir, what, log)
		}
	}
}

// A file that was made longer ahead of the data, and a payload that holds zeros, are no tear.
func TestZerosThatAreNoHoles(t *testing.T) {
	dir, log := writeLog(t, 60, 3*page) // all of it zeros
	whole, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, tail := range []int{0, 3, 100, page, 5 * logBlock} {
		copied := t.TempDir()
		if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(copied, filepath.Base(log)), append(bytes.Clone(whole), make([]byte, tail)...), 0o600); err != nil {
			t.Fatal(err)
		}
		s := mustOpen(t, copied)
		if s.Torn() != nil {
			t.Errorf("%d zeros behind the last write: %v", tail, s.Torn())
		}
		for i := range 60 {
			if !has(t, s, i) {
				t.Fatalf("%d zeros behind the last write: write %d is gone", tail, i)
			}
		}
		_ = s.Close()
	}
}

// What may have been acked is refused, holes or not.
func TestDamageIsNotTakenForATear(t *testing.T) {
	dir, logs := tornLogs(t)
	long := logs[tornSizes-1]
	flip := func(b []byte, at int64) []byte {
		b = bytes.Clone(b)
		b[at] ^= 0x40
		return b
	}
	hole := func(b []byte, at int64) []byte {
		b = bytes.Clone(b)
		clear(b[at&^(page-1) : at&^(page-1)+page])
		return b
	}
	block := func(n int64) int64 { return (long.record/logBlock + n) * logBlock }
	full := logs[0].bytes[:fragmentBytes(logs[0].bytes)]
	for name, log := range map[string][]byte{
		"a flipped byte, first fragment":           flip(long.bytes, long.record+100),
		"a flipped byte, middle fragment":          flip(long.bytes, block(2)+5000),
		"a flipped byte, last fragment":            flip(long.bytes, int64(len(long.bytes))-10),
		"a flipped sum":                            flip(long.bytes, long.record),
		"a flipped length":                         flip(long.bytes, long.record+5),
		"a flipped type":                           flip(long.bytes, block(1)+6),
		"a hole, and a flipped byte elsewhere":     flip(hole(long.bytes, block(1)+2*page), block(3)+9),
		"a flipped byte, and a hole further on":    hole(flip(long.bytes, long.record+100), block(2)+page),
		"a hole, then a flipped header":            flip(hole(long.bytes, block(1)), block(2)+4),
		"a hole amid small records":                hole(long.bytes, 2*page),
		"a hole at the start":                      hole(long.bytes, 0),
		"a hole over a whole block":                append(make([]byte, logBlock), long.bytes[logBlock:]...),
		"a hole, and a record behind the last":     append(hole(long.bytes, block(2)), full...),
		"a hole in the last page, and a record":    append(long.without(long.pages()-1), full...),
		"a missing start, and a record at the end": append(long.without(0), full...),
		"a record in place of a last fragment":     append(bytes.Clone(long.bytes[:block(2)]), full...),
		"zeros, and a record in the next block":    append(append(bytes.Clone(long.bytes[:long.record]), make([]byte, block(1)-long.record)...), full...),
		"fewer zeros than a page":                  append(append(bytes.Clone(long.bytes), make([]byte, 100)...), "noise noise"...),
	} {
		if torn, err := check(t, log); err == nil {
			t.Errorf("%s: %+v, want it refused", name, torn)
			continue
		}
		if !testing.Short() {
			placed := long.place(t, dir, log)
			if _, err := Open(placed, small()); !errors.As(err, new(*CorruptError)) || !strings.Contains(err.Error(), "-salvage") {
				t.Errorf("%s: open: %v", name, err)
			}
			if got, err := os.ReadFile(filepath.Join(placed, long.name)); err != nil || !bytes.Equal(got, log) {
				t.Errorf("%s: a refused start changed the log (%v)", name, err)
			}
		}
	}

	// Only the newest log can be torn: by number, which is not the order of names.
	placed := long.place(t, dir, long.without(0))
	newer := filepath.Join(placed, "1000000.log")
	if err := os.WriteFile(newer, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(placed, long.name), filepath.Join(placed, "999999.log")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(placed, small()); !errors.As(err, new(*CorruptError)) {
		t.Errorf("holes in a log that is not the newest: %v", err)
	}
}

// A hole of fewer bytes than a sum has may be a byte that changed.
func TestAHoleOfAFewBytesIsRefused(t *testing.T) {
	for n := 1; n < 2*minHole; n++ {
		log := alignedLast(t, page-n)
		clear(log.bytes[log.record : log.record+int64(n)])
		if torn, err := check(t, log.bytes); (err == nil) != (n >= minHole) {
			t.Errorf("%d bytes of the record in the missing page: %v, %v", n, torn, err)
		}
	}
}

// alignedLast gives a log whose last record begins that far behind the start of a page.
func alignedLast(t *testing.T, into int) tornLog {
	t.Helper()
	dir := t.TempDir()
	s := mustOpen(t, dir)
	defer func() { _ = s.Close() }()
	log := globOne(t, dir)
	write := func(k, bytes int) int64 {
		value := make([]byte, bytes)
		_, _ = rand.NewChaCha8([32]byte{byte(k)}).Read(value) // never fails
		var b kv.Batch
		b.Put(kv.Meta, key(k), value)
		if err := s.Write(&b, true); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(log)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	overhead := int(write(0, 1000)) - 1000
	record := write(1, 2*page+into-1000-2*overhead)
	if record%page != int64(into) {
		t.Fatalf("the record begins at %d, want %d behind a page's start", record, into)
	}
	write(2, 9000)
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return tornLog{filepath.Base(log), b, 2, record}
}

// A crash between the copy and the cut is made good by the next start; another process's directory is left alone.
func TestCutTornAgainAndLocked(t *testing.T) {
	dir, logs := tornLogs(t)
	l := logs[2]
	log := l.without(1)
	placed := l.place(t, dir, log)
	now := time.Unix(1234, 0)

	other, err := os.OpenFile(filepath.Join(placed, "LOCK"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	held := unix.Flock_t{Type: unix.F_WRLCK}
	if err := unix.FcntlFlock(other.Fd(), unix.F_OFD_SETLK, &held); err != nil {
		t.Fatal(err)
	}
	if _, err := cutTorn(placed, now); !errors.Is(err, ErrLocked) {
		t.Fatalf("a directory that another process has: %v", err)
	}
	if got, err := os.ReadFile(filepath.Join(placed, l.name)); err != nil || !bytes.Equal(got, log) {
		t.Fatalf("its log was changed (%v)", err)
	}
	_ = other.Close()

	kept := filepath.Join(placed, "salvaged-1234", fmt.Sprintf("%s.from-%d", l.name, l.record))
	if err := os.Mkdir(filepath.Dir(kept), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kept, []byte("half a copy"), 0o600); err != nil {
		t.Fatal(err)
	}
	torn, err := cutTorn(placed, now)
	if err != nil || len(torn) != 1 || torn[0].Kept != kept {
		t.Fatalf("cut: %+v, %v", torn, err)
	}
	if got, err := os.ReadFile(kept); err != nil || !bytes.Equal(got, log[l.record:]) {
		t.Errorf("kept %d bytes, %v", len(got), err)
	}
	if torn, err := cutTorn(placed, now); torn != nil || err != nil {
		t.Errorf("cut again: %+v, %v", torn, err)
	}
	if info, err := os.Stat(filepath.Join(placed, l.name)); err != nil || info.Size() != l.record {
		t.Errorf("the log's size: %d, %v; want %d", info.Size(), err, l.record)
	}
}

// The manifest is a log too. Its last record may be torn at the same moment.
func TestHolesInTheManifestOpen(t *testing.T) {
	dir, logs := tornLogs(t)
	l := logs[tornSizes-1]
	names, _ := filepath.Glob(filepath.Join(dir, "MANIFEST-*"))
	if len(names) != 1 {
		t.Fatalf("manifests: %v", names)
	}
	whole, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	// A record that begins in the manifest's last page, and whose second page is missing.
	record := append(bytes.Clone(l.bytes[:fragmentBytes(l.bytes)]), make([]byte, page)...)
	binary.LittleEndian.PutUint16(record[4:], uint16(len(record)-logHeader))
	placed := l.place(t, dir, l.bytes)
	manifest := filepath.Join(placed, filepath.Base(names[0]))
	if err := os.WriteFile(manifest, append(bytes.Clone(whole), record...), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := open(placed, small(), grocksdb.TolerateCorruptedTailRecordsRecovery, true); err == nil {
		_ = s.Close()
		t.Error("RocksDB takes such a manifest by itself: checkManifest is needless")
	}
	if err := os.WriteFile(filepath.Join(placed, l.name), l.without(3), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(placed, small())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	if torn := s.Torn(); len(torn) != 2 || torn[1].Log != manifest || torn[1].At != int64(len(whole)) {
		t.Errorf("cut %v, want the log's last record, and the manifest's at %d", torn, len(whole))
	}
	for i := range l.before {
		if !has(t, s, i) {
			t.Fatalf("write %d is gone", i)
		}
	}
}

// Whatever the bytes are: a cut lies within them, and what it leaves is a log that is whole.
func FuzzCheckLogFile(f *testing.F) {
	record := []byte{0, 0, 0, 0, 3, 0, fullType, 'a', 'b', 'c'}
	sum := crc32.Checksum(record[6:], castagnoli)
	binary.LittleEndian.PutUint32(record, (sum>>15|sum<<17)+0xa282ead8)
	if !verifies(record) {
		f.Fatal("the seed is no record")
	}
	f.Add(record)
	f.Add(append(make([]byte, page), record...))
	f.Add(append(bytes.Clone(record), append(make([]byte, page), 1)...))
	path := filepath.Join(f.TempDir(), "000004.log")
	f.Fuzz(func(t *testing.T, log []byte) {
		if err := os.WriteFile(path, log, 0o600); err != nil {
			t.Fatal(err)
		}
		torn, err := checkLogFile(path)
		if err != nil || torn == nil {
			return
		}
		if torn.At < 0 || torn.Bytes <= 0 || torn.At+torn.Bytes != int64(len(log)) {
			t.Fatalf("%d bytes: %+v", len(log), torn)
		}
		if err := os.Truncate(path, torn.At); err != nil {
			t.Fatal(err)
		}
		if again, err := checkLogFile(path); again != nil || err != nil {
			t.Fatalf("after the cut: %+v, %v", again, err)
		}
	})
}
