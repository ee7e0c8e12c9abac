// Package rocks is kv.Store on RocksDB 7.8.3, and the only package that uses cgo.
//
// Invariants:
//   - Every write goes through the write-ahead log; the log is synced with fdatasync before a synced Write returns.
//     Nothing is written through a memory map. The files: NNNNNN.log (write-ahead log, append only), NNNNNN.sst (sorted
//     files, synced before MANIFEST names them), MANIFEST and CURRENT (fsync, then rename and fsync of the directory).
//   - After a failed Write the store takes no more: RocksDB may or may not have it in its log. The one exception is
//     kv.ErrNoSpace, when a background job found the disk full and RocksDB refused the write before it touched the log.
//   - Iterators and pinned values live inside one call; no C memory outlives it.
//
// Only ingestd's main opens a Store; everything else sees kv.Store.
package rocks

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"github.com/linxGnu/grocksdb"

	"firn/ingestd/kv"
)

// Store is an open RocksDB. It is safe for concurrent use.
type Store struct {
	dir  string
	torn []*TornWrite

	mu       sync.RWMutex // held for reading by every call into C, for writing by Close
	db       *grocksdb.DB // nil once closed
	families [kv.Families]*grocksdb.ColumnFamilyHandle
	opts     *openOptions

	synced, unsynced *grocksdb.WriteOptions
	get, scan        *grocksdb.ReadOptions
}

func newStore(dir string, db *grocksdb.DB, handles []*grocksdb.ColumnFamilyHandle, opts *openOptions) *Store {
	s := &Store{dir: dir, db: db, opts: opts}
	copy(s.families[:], handles)
	s.synced, s.unsynced = grocksdb.NewDefaultWriteOptions(), grocksdb.NewDefaultWriteOptions()
	s.synced.SetSync(true)
	s.get, s.scan = grocksdb.NewDefaultReadOptions(), grocksdb.NewDefaultReadOptions()
	s.scan.SetFillCache(false) // a scan reads each block once: it must not push out indexes and filters
	return s
}

// Torn says what Open cut off: what a power cut left of the last writes to the write-ahead log and to the manifest.
func (s *Store) Torn() []*TornWrite { return s.torn }

// Write implements kv.Store. It crosses into C four times, whatever the batch holds.
func (s *Store) Write(b *kv.Batch, sync bool) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return kv.ErrClosed
	}
	wb := grocksdb.WriteBatchFrom(b.Rep())
	defer wb.Destroy()
	opts := s.unsynced
	if sync {
		opts = s.synced
	}
	if err := s.db.Write(opts, wb); err != nil {
		return writeError(err)
	}
	return nil
}

// writeError tells a disk that a background job found full, where the write never reached the log, from everything
// else. RocksDB then answers with the background job's own error, which names a sorted file or the manifest; an error
// that names a .log file is one of the write-ahead log itself, and final.
func writeError(err error) error {
	if m := err.Error(); strings.Contains(m, "No space left") && !strings.Contains(m, ".log") {
		return fmt.Errorf("write batch: %w (%v)", kv.ErrNoSpace, err)
	}
	return fmt.Errorf("write batch: %w", err)
}

// Get implements kv.Store.
func (s *Store) Get(f kv.Family, k, dst []byte) ([]byte, bool, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return dst, false, kv.ErrClosed
	}
	opts := s.get
	if f == kv.Blocks {
		opts = s.scan
	}
	h, err := s.db.GetPinnedCF(opts, s.families[f], k)
	if err != nil {
		return dst, false, fmt.Errorf("read %s: %w", f, err)
	}
	if !h.Exists() {
		return dst, false, nil
	}
	dst = append(dst, h.Data()...)
	h.Destroy()
	return dst, true, nil
}

// Iterate implements kv.Store.
func (s *Store) Iterate(f kv.Family, lo, hi []byte, reverse bool, fn func(k, v []byte) error) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return kv.ErrClosed
	}
	opts, free := bounded(lo, hi, reverse)
	defer free()
	it := s.db.NewIteratorCF(opts, s.families[f])
	defer it.Close()
	seek(it, lo, hi, reverse)
	for it.Valid() {
		k := it.Key().Data() // points into the iterator: nothing to free
		if reverse && bytes.Compare(k, lo) < 0 || !reverse && hi != nil && bytes.Compare(k, hi) >= 0 {
			break
		}
		if err := fn(k, it.Value().Data()); errors.Is(err, kv.ErrStop) {
			return nil
		} else if err != nil {
			return err
		}
		if reverse {
			it.Prev()
		} else {
			it.Next()
		}
	}
	if err := it.Err(); err != nil {
		return fmt.Errorf("iterate %s: %w", f, err)
	}
	return nil
}

// bounded makes the options of an iteration that ends at its range by itself. Without a bound an iterator that reaches
// the end of the range goes on to the next key that is there: past all that was deleted behind it, which for the index
// of a thousand trimmed tables was 4 ms an iteration.
func bounded(lo, hi []byte, reverse bool) (opts *grocksdb.ReadOptions, free func()) {
	opts = grocksdb.NewDefaultReadOptions()
	opts.SetFillCache(false)  // a scan reads each block once: it must not push out indexes and filters
	var pinner runtime.Pinner // C keeps the bound's address until the iterator is closed
	switch {
	case reverse && len(lo) > 0:
		pinner.Pin(unsafe.SliceData(lo))
		opts.SetIterateLowerBound(lo)
	case !reverse && len(hi) > 0:
		pinner.Pin(unsafe.SliceData(hi))
		opts.SetIterateUpperBound(hi)
	}
	return opts, func() {
		opts.Destroy()
		pinner.Unpin()
	}
}

func seek(it *grocksdb.Iterator, lo, hi []byte, reverse bool) {
	switch {
	case !reverse:
		it.Seek(lo)
	case hi == nil:
		it.SeekToLast()
	default:
		it.SeekForPrev(hi)
		if it.Valid() && bytes.Equal(it.Key().Data(), hi) { // hi is exclusive
			it.Prev()
		}
	}
}

// DropFiles implements kv.Store. RocksDB leaves files of level 0 and files that reach beyond the range; its upper bound
// is inclusive, so it gets the last key below hi.
func (s *Store) DropFiles(f kv.Family, lo, hi []byte) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.db == nil {
		return kv.ErrClosed
	}
	last, ok := before(hi)
	if !ok || bytes.Compare(lo, last) > 0 {
		return nil
	}
	if err := s.db.DeleteFileInRangeCF(s.families[f], grocksdb.Range{Start: lo, Limit: last}); err != nil {
		return fmt.Errorf("drop files of %s: %w", f, err)
	}
	return nil
}

// before returns the greatest key of k's length that is lower than k; false if there is none.
func before(k []byte) ([]byte, bool) {
	p := bytes.Clone(k)
	for i := len(p) - 1; i >= 0; i-- {
		p[i]--
		if p[i] != 0xff {
			return p, true
		}
	}
	return nil, false
}

// Close implements kv.Store. It waits for calls under way.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	s.db.CancelAllBackgroundWork(true)
	for _, h := range s.families {
		h.Destroy()
	}
	s.db.Close()
	s.db = nil
	s.synced.Destroy()
	s.unsynced.Destroy()
	s.get.Destroy()
	s.scan.Destroy()
	s.opts.destroy()
	return nil
}
