// Package eventlog is the durable, ordered log of one data directory: it gives events their sequences, acks them once
// they are synced, remembers idempotency keys, hands segments to the shipper and lets go of what is committed.
// FORMAT.md says how it lies on the disk and what a crash leaves.
//
// Words: a log is what one run appended, a track is one (log, table UUID), a block is one append's events.
//
// Invariants:
//   - Append returns without an error only after a synced write that holds its events.
//   - The sequences of a track are dense from 1 and rise in ack order; they are assigned by the
//     writer, where the order is decided.
//   - Nothing is read, cut or counted before it is durable; what is readable is contiguous
//     from the low to the high watermark.
//   - low-1 <= committed <= cut <= high, durably: the committed watermark is synced before
//     anything that it covers is trimmed.
//   - After a failed write nothing is acked any more (Fatal), since nobody knows whether the write is there.
//   - Memory: MaxGroupBytes twice (batch and its copy in C), TailBytes, the encoded blocks of the callers inside
//     Append, and about 500 bytes a track. Nothing grows with the backlog.
//   - Bounds are decided by the writer, exactly; before that Refuses and Reserve say, by an estimate, what would be
//     decoded in vain. They refuse no retry of what is stored.
//
// # The append protocol
//
// One goroutine, the writer, owns the order. Everything else that changes the store goes through it as well, so
// that the write-ahead log has one author.
//
//  1. Append, in the caller's goroutine, encodes the batch into a block and compresses it, and hands it to the writer.
//  2. The writer takes all that waits, up to MaxGroupBytes. For each append: idempotency keys that are
//     known become dropped rows; bounds are checked; the next sequences and the next position are
//     assigned and patched into the block.
//  3. One atomic batch: the blocks, their index entries, new keys, and, for the first append of a run or a table,
//     the log's id and the track's record.
//  4. One synced write. THE COMMIT POINT.
//  5. The new high watermarks are published to readers, the blocks join the tail, the callers return.
//
// A crash before 4 has returned leaves the whole group or nothing of it, and nobody was acked; after 4 it is all there.
// A group gathers while the one before it syncs, so the load sets the size of a group and no timer is needed.
//
// Dropped: a block for each group instead of each append (one compression for all, but in the writer, which then limits
// the throughput); sequences by an atomic add in the caller (needs a reader that can tell a hole from an end).
//
// httpapi calls Append and ReadPage, ship all the rest, registry the Meta methods; a Log is safe for concurrent use.
package eventlog
