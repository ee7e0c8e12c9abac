// Package kv is the port to an ordered key-value store with column families and atomic, synced writes. The event log is
// its only user. Mem is its crashable in-memory twin; kv/rocks is RocksDB. One contract test runs over both.
//
// Invariants that every Store keeps and the event log's crash argument stands on:
//   - A Write is atomic over all families: after a crash all of its operations are there, or none.
//   - Writes reach the disk in the order in which they returned. A synced Write that returned nil survives a power cut,
//     and so does everything written before it; what a crash leaves is a prefix of the writes.
//   - A Write that failed may have been applied, in whole, unless the error is ErrNoSpace: then it was not.
//
// A Store is safe for concurrent use; a Batch is not.
package kv

import "errors"

// Family is a column family: keys of one family are ordered among themselves and share files, apart from the others.
type Family uint8

// The families. Their numbers are RocksDB's column family ids in the write-ahead log: a released number keeps its
// meaning.
const (
	Meta        Family = iota // small records that change: tracks, watermarks, cuts, the registry's settings
	Blocks                    // batch blocks by position; rising keys, never overwritten, never deleted one by one
	Index                     // (track, first sequence) → where its block lies
	Dedup                     // (table, idempotency key) → the first result
	DedupExpiry               // time order of the idempotency keys
	Families                  // how many there are
)

var names = [Families]string{"default", "blocks", "index", "dedup", "dedup-expiry"}

// String is the family's name in the store. Meta lies in "default", the family that RocksDB always has.
func (f Family) String() string { return names[f] }

// ErrNoSpace says that the disk is full, that the write was not applied, and that the store heals once there is space.
// Any other error of Write is final for the process: close, restart, recover.
var ErrNoSpace = errors.New("no space left on the data volume: free some; writing resumes by itself")

// ErrClosed says that the store was closed.
var ErrClosed = errors.New("store is closed")

// Store is an ordered key-value store.
type Store interface {
	// Write applies b atomically. With sync it returns once b and all writes before it are on the disk.
	// The batch may be reset and used again once Write returned.
	Write(b *Batch, sync bool) error
	// Get appends the value of k to dst and returns it; false if there is none.
	Get(f Family, k, dst []byte) ([]byte, bool, error)
	// Iterate calls fn for the keys in [lo, hi) in order, or from hi down to lo when reverse; nil hi has no end. It
	// sees the store as of its start. k and v are valid during the call; fn returns ErrStop to end the iteration
	// without an error, and must not call the store (Close would wait for it, and it for Close).
	Iterate(f Family, lo, hi []byte, reverse bool, fn func(k, v []byte) error) error
	// DropFiles frees the files that hold nothing but keys in [lo, hi). It is a hint: keys in the range may stay or go,
	// so the caller must not refer to any of them, nor use one again, and must have synced what says so.
	DropFiles(f Family, lo, hi []byte) error
	// Stats reads the store's own figures.
	Stats() Stats
	// Close syncs nothing and writes nothing; it is as safe as a crash.
	Close() error
}

// ErrStop ends an iteration; Iterate then returns nil.
var ErrStop = errors.New("stop iterating")

// Stats are the store's own figures, by family where they have one.
type Stats struct {
	FileBytes        [Families]int64 // bytes in sorted files
	CompactedBytes   [Families]int64 // bytes that compaction wrote since the store was opened
	MemoryBytes      int64           // write buffers, caches and table readers
	WALBytes         int64           // bytes of write-ahead log on the disk
	BackgroundErrors int64           // failed background jobs since the store was opened
	WritesStopped    bool            // the store refuses writes until background work has caught up
}
