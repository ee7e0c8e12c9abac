// Package compact rewrites data files so that a table stays fast to read: many small files become few large ones, sorted
// by event time. It is the only part of maintenance that reads data.
//
// Invariants:
//   - What a rewrite adds holds exactly the rows of what it removes. Rows, nulls and bounds of each column, and a
//     checksum over all values that does not depend on their order, are taken from the files as they are read and from
//     the new file as it is read back from the store. Any difference ends the job, and the table stays as it is.
//   - A job is of one partition, and small ones share a commit (commitlib.Committer.Rewrite): a run may be killed at any
//     moment, and the next one goes on. Beside appends and other engines the swap decides.
//   - Partitions with delete files of other engines, and files that package datafile does not read, are left alone; the
//     report says so.
//   - Memory is bounded by Config.MemoryBytes and what planning holds, whatever the size of the files: they are
//     merged row group by row group, and only those row groups are open whose times overlap.
//   - A row group is copied as bytes only out of a file that a merge of this build has made, so that what is copied is
//     sorted and means the same where it comes to; the checksums of its pages are verified when it is read, and again when
//     it is read back.
//   - How often a row is rewritten is logarithmic in the size of its partition.
//
// New files are created under random names (commitlib.ObjectPrefix); what a run leaves behind is an orphan.
//
// ingestd runs it in the background, and flushlambda/compactor on a schedule; it pulls Parquet, and so is no part of the
// committer.
package compact
